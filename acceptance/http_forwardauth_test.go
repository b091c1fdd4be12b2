package acceptance

import (
	"encoding/json"
	htmlpkg "html"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/bootstrap/config"
	"github.com/keylodge/keylodge/domain"
)

// Forward auth without the proxies, which acceptance/forwardauth_proxies_test.go runs: the test sends what they send.

const (
	wiki      = "https://wiki.example.org"
	adminPage = "https://admin.example.net" // requires an authentication within ten minutes
)

func withForwardAuth(c *config.Config) {
	c.Applications = domain.Applications{
		{Origin: "https://app.example.org", Name: "Example App"},
		{Origin: wiki, Name: "Wiki", ForwardAuth: true},
		{Origin: adminPage, Name: "Admin", ForwardAuth: true, MaxAge: 10 * time.Minute},
	}
}

// forwardedBrowser is a user's browser at one application behind a proxy.
type forwardedBrowser struct {
	t      testing.TB
	server *server
	origin string
	person *person // whose browser it is
	jar    map[string]string
}

func (s *server) forwardedBrowser(t testing.TB, origin string, p *person) *forwardedBrowser {
	t.Helper()
	return &forwardedBrowser{t: t, server: s, origin: origin, person: p, jar: map[string]string{}}
}

// proxied returns the headers that Caddy and Traefik send about a request.
func proxied(origin, uri string) []string {
	scheme, host, _ := strings.Cut(origin, "://")
	return []string{"X-Forwarded-Proto", scheme, "X-Forwarded-Host", host, "X-Forwarded-Uri", uri, "X-Forwarded-Method", "GET", "X-Forwarded-For", "203.0.113.9"}
}

// byNginx returns the headers that nginx sends about a request.
func byNginx(origin, uri string) []string {
	return []string{"X-Original-URL", origin + uri, "X-Original-Method", "GET", "X-Forwarded-For", "203.0.113.9"}
}

var navigation = []string{"Sec-Fetch-Mode", "navigate", "Accept", "text/html,*/*"}

// open opens a page of the application.
func (b *forwardedBrowser) open(uri string) apiResponse {
	b.t.Helper()
	return b.send(append(proxied(b.origin, uri), navigation...)...)
}

// send sends headers with the browser's cookies, and keeps the cookies of the response.
func (b *forwardedBrowser) send(headers ...string) apiResponse {
	b.t.Helper()
	for name, value := range b.jar {
		headers = append(headers, "Cookie", name+"="+value)
	}
	request, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, b.server.origin+"/v1/forward-auth", http.NoBody)
	if err != nil {
		b.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Add(headers[i], headers[i+1])
	}
	got := b.server.roundTrip(b.t, request)
	for _, cookie := range got.Cookies() {
		if !cookie.Secure || !cookie.HttpOnly || cookie.Path != "/" || cookie.Domain != "" || cookie.SameSite != http.SameSiteLaxMode || !strings.HasPrefix(cookie.Name, "__Host-") {
			b.t.Errorf("the cookie is %s", cookie)
		}
		if b.jar[cookie.Name] = cookie.Value; cookie.Value == "" {
			delete(b.jar, cookie.Name)
		}
	}
	return got
}

// authorize follows a redirect to this server's page, where the person is signed in, and returns the path and query of the callback.
func (b *forwardedBrowser) authorize(redirect apiResponse) (callback string) {
	b.t.Helper()
	page := requireRedirect(b.t, redirect, b.server.origin, "/login")
	location := b.person.apiDevice().api.issueCode(page.Query().Get("return_to"), page.Query().Get("code_challenge"), "").must(b.t)
	return strings.TrimPrefix(location, b.origin)
}

func requireRedirect(t testing.TB, got apiResponse, origin, path string) *url.URL {
	t.Helper()
	location, err := url.Parse(got.Header.Get("Location"))
	if got.StatusCode != http.StatusSeeOther || err != nil || location.Scheme+"://"+location.Host != origin || location.Path != path {
		t.Fatalf("status %d, location %q, body %s; want a redirect to %s%s", got.StatusCode, got.Header.Get("Location"), got.Body, origin, path)
	}
	return location
}

// signIn opens a page and signs in until the page is allowed.
func (b *forwardedBrowser) signIn(uri string) {
	b.t.Helper()
	back := requireRedirect(b.t, b.open(b.authorize(b.open(uri))), b.origin, strings.SplitN(uri, "?", 2)[0])
	if back.RequestURI() != uri {
		b.t.Fatalf("returned to %s, want %s", back, uri)
	}
	b.requireAllowed(uri)
}

func (b *forwardedBrowser) requireAllowed(uri string) apiResponse {
	b.t.Helper()
	got := b.open(uri)
	if got.StatusCode != http.StatusOK || len(got.Body) > 0 || got.Header.Get("Remote-User") == "" {
		b.t.Fatalf("status %d, headers %v, body %s", got.StatusCode, got.Header, got.Body)
	}
	return got
}

func (b *forwardedBrowser) requireSignIn() {
	b.t.Helper()
	requireRedirect(b.t, b.open("/"), b.server.origin, "/login")
	for name, headers := range map[string][]string{
		"a script":      append(proxied(b.origin, "/"), "Sec-Fetch-Mode", "cors", "Accept", "text/html"),
		"an old client": append(proxied(b.origin, "/"), "Accept", "application/json"),
		"nginx":         append(byNginx(b.origin, "/"), navigation...),
	} {
		got := b.send(headers...)
		if got.StatusCode != 401 || got.Header.Get("Set-Cookie") != "" || got.Header.Get("Remote-User") != "" {
			b.t.Errorf("%s: status %d, headers %v", name, got.StatusCode, got.Header)
		}
	}
}

// requireErrorPage fails the test unless a user reads the error as a page that loads nothing. It returns the address of the next step.
func (a apiResponse) requireErrorPage(t testing.TB, status int, code string) (next string) {
	t.Helper()
	html := string(a.Body)
	if a.StatusCode != status || a.Header.Get("Content-Type") != "text/html; charset=utf-8" || !strings.Contains(html, `data-code="`+code+`"`) || !strings.Contains(html, a.Header.Get("X-Request-Id")) {
		t.Errorf("status %d, %v, %s; want a page with %d %s", a.StatusCode, a.Header, html, status, code)
	}
	if policy := a.Header.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'; style-src 'sha256-") || strings.Contains(html, " src=") || a.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("the policy is %q, the page %s", policy, html)
	}
	if link := regexp.MustCompile(`href="([^"]*)"`).FindStringSubmatch(html); link != nil {
		return htmlpkg.UnescapeString(link[1])
	}
	return ""
}

func startForwardAuth(t *testing.T) (*server, *env) {
	t.Helper()
	t.Parallel()
	clock := newClock()
	s := startServer(t, clock, combine(withForwardAuth, trustLoopback))
	return s, &env{t: t, clock: clock, driver: httpDriver{s}}
}

func TestForwardAuth_SignsInOnce(t *testing.T) {
	s, e := startForwardAuth(t)
	ada := e.person("Ada Lövelace", phone)
	ada.email = "ada@example.org" // without e-mail, no address is verified
	ada.signsUp()
	b := s.forwardedBrowser(t, wiki, ada)
	b.requireSignIn()
	b.signIn("/page/1?edit=1&to=/x%20y")
	for name, headers := range map[string][]string{
		"a page": append(proxied(wiki, "/a"), navigation...), "a script": append(proxied(wiki, "/b"), "Sec-Fetch-Mode", "cors"),
		"nginx": byNginx(wiki, "/c?d"), "nginx, the first page": byNginx(wiki, ""),
	} {
		got := b.send(headers...)
		if got.StatusCode != 200 || got.Header.Get("Remote-Name") != "Ada Lövelace" || got.Header.Get("Remote-User") == "" || got.Header.Get("Cache-Control") != "no-store" || got.Header.Get("Set-Cookie") != "" {
			t.Errorf("%s: status %d, headers %v", name, got.StatusCode, got.Header)
		}
		if email, hasEmail := got.Header["Remote-Email"]; !hasEmail || email[0] != "" {
			t.Errorf("%s: Remote-Email is %q, want it empty, since no address is verified", name, email)
		}
		if groups := got.Header["Remote-Groups"]; len(groups) != 1 || groups[0] != "" {
			t.Errorf("%s: Remote-Groups is %q, want it empty", name, groups)
		}
	}
	// Going back to the callback, or a second tab that signs in too, returns to the page.
	if back := requireRedirect(t, b.open("/.keylodge/callback?path=%2Fx&code=klc_x"), wiki, "/x"); back.RawQuery != "" {
		t.Errorf("returned to %s", back)
	}
	// Each application has a sign-in of its own, for which the user only opens the page.
	s.forwardedBrowser(t, adminPage, ada).signIn("/")
	ada.requireSignedIn()
	if sessions := ada.device.sessions().must(t); len(sessions) != 1 {
		t.Errorf("Ada sees the sessions %+v, want her own", sessions)
	}
}

func TestForwardAuth_VerifiedEmail(t *testing.T) {
	t.Parallel()
	clock := newClock()
	s, mailServer := startServerWithMail(t, clock, withForwardAuth, trustLoopback)
	ada := (&env{t: t, clock: clock, driver: httpDriver{s}, mailServer: mailServer}).personWithVerifiedEmail("Ada", phone, "ada@example.org")
	b := s.forwardedBrowser(t, wiki, ada)
	b.signIn("/")
	if got := b.requireAllowed("/").Header.Get("Remote-Email"); got != "ada@example.org" {
		t.Errorf("got %q", got)
	}
}

func TestForwardAuth_SessionEnds(t *testing.T) {
	s, e := startForwardAuth(t)
	for name, end := range map[string]func(*person){
		"sign-out": func(ada *person) { ada.signsOut() },
		"revoked":  func(ada *person) { ada.requireOK(ada.onSecondDevice().device.revokeOtherSessions()) },
		"disabled": func(ada *person) { e.disables(ada) },
		"expired":  func(*person) { e.advance(8 * day) },
	} {
		ada := e.person("Ada", phone)
		ada.email = strings.ReplaceAll(name, "-", "") + "@example.org"
		ada.signsUp()
		b := s.forwardedBrowser(t, wiki, ada)
		b.signIn("/")
		end(ada)
		t.Log(name)
		b.requireSignIn()
	}
}

// A token is valid for a day. The session lasts, so a new one needs no passkey.
func TestForwardAuth_TokenExpires(t *testing.T) {
	s, e := startForwardAuth(t)
	b := s.forwardedBrowser(t, wiki, e.newUser("Ada", phone))
	b.signIn("/")
	e.advance(day - time.Second)
	b.requireAllowed("/")
	e.advance(time.Second)
	b.requireSignIn()
	b.signIn("/")
}

func TestForwardAuth_MaxAge(t *testing.T) {
	s, e := startForwardAuth(t)
	ada := e.newUser("Ada", phone)
	b, atWiki := s.forwardedBrowser(t, adminPage, ada), s.forwardedBrowser(t, wiki, ada)
	b.signIn("/")
	atWiki.signIn("/")
	e.advance(10*time.Minute - time.Second)
	b.requireAllowed("/")
	e.advance(2 * time.Second)
	b.requireSignIn()
	atWiki.requireAllowed("/")
	page := requireRedirect(t, b.open("/"), s.origin, "/login")
	ada.requireRejected(ada.apiDevice().api.issueCode(page.Query().Get("return_to"), page.Query().Get("code_challenge"), ""), "step_up_required")
	old := b.jar["__Host-keylodge_forward_auth"]
	ada.stepsUp()
	b.requireSignIn() // a token does not become recent by a step-up
	b.signIn("/")
	b.jar["__Host-keylodge_forward_auth"] = old
	b.requireSignIn()
	atWiki.requireAllowed("/")
}

// The application's host comes from the proxy, and a token is valid for one application.
func TestForwardAuth_OtherHosts(t *testing.T) {
	s, e := startForwardAuth(t)
	ada := e.newUser("Ada", phone)
	atWiki, atAdmin := s.forwardedBrowser(t, wiki, ada), s.forwardedBrowser(t, adminPage, ada)
	atWiki.signIn("/")
	atAdmin.jar = atWiki.jar
	atAdmin.requireSignIn()
	for _, origin := range []string{
		"https://evil.example", "https://app.example.org", "http://wiki.example.org", "https://wiki.example.org:8443", "https://WIKI.example.org", "https://wiki.example.org.", "https://wiki.example.org.evil.example",
		"https://evil.example#" + wiki, "https://wiki.example.org@evil.example", "https://wiki.example.org, admin.example.net", s.origin,
	} {
		for name, headers := range map[string][]string{"Caddy": proxied(origin, "/"), "nginx": byNginx(origin, "/")} {
			got := atWiki.send(append(headers, navigation...)...)
			if next := got.requireErrorPage(t, 403, "forward_auth_not_allowed"); next+got.Header.Get("Location")+got.Header.Get("Set-Cookie") != "" {
				t.Errorf("%s, %s: status %d, headers %v", origin, name, got.StatusCode, got.Header)
			}
		}
	}
	for name, headers := range map[string][]string{
		"the headers of two proxies": append(proxied(wiki, "/"), byNginx(wiki, "/")...),
		"another host by the client": append(proxied(adminPage, "/"), "X-Original-URL", wiki+"/"),
		"no headers":                 nil,
		"two addresses":              append(proxied(wiki, "/"), "X-Forwarded-Uri", "/x"),
	} {
		t.Log(name)
		atWiki.send(append(headers, navigation...)...).requireErrorPage(t, 400, "invalid_request")
	}
	for name, headers := range map[string][]string{
		"two hosts":   append(proxied(wiki, "/"), "X-Forwarded-Host", "admin.example.net"),
		"two schemes": append(proxied(wiki, "/"), "X-Forwarded-Proto", "http"),
		"no host":     {"X-Forwarded-Uri", "/"},
	} {
		if got := atWiki.send(append(headers, navigation...)...); got.StatusCode != 403 {
			t.Errorf("%s: status %d, %s", name, got.StatusCode, got.Body)
		}
	}
}

func TestForwardAuth_UntrustedProxy(t *testing.T) {
	t.Parallel()
	s := startServer(t, newClock(), combine(withForwardAuth, trustProxies("10.0.0.0/8")))
	b := s.forwardedBrowser(t, wiki, (&env{t: t, clock: newClock(), driver: httpDriver{s}}).newUser("Ada", phone))
	for _, headers := range [][]string{proxied(wiki, "/"), byNginx(wiki, "/"), append(proxied(wiki, "/"), "X-Forwarded-For", "10.0.0.7"), nil} {
		got := b.send(append(headers, navigation...)...)
		if next := got.requireErrorPage(t, 403, "proxy_not_trusted"); next+got.Header.Get("Location")+got.Header.Get("Set-Cookie") != "" {
			t.Errorf("%v: status %d, headers %v", headers, got.StatusCode, got.Header)
		}
	}
}

func TestForwardAuth_ForgedTokens(t *testing.T) {
	s, e := startForwardAuth(t)
	ada := e.newUser("Ada", phone)
	b, other := s.forwardedBrowser(t, wiki, ada), s.forwardedBrowser(t, adminPage, ada)
	b.signIn("/")
	other.signIn("/")
	const name = "__Host-keylodge_forward_auth"
	token := b.jar[name]
	members, mac, _ := strings.Cut(token, ".")
	for about, forged := range map[string]string{
		"of another application": other.jar[name],
		"the session cookie":     ada.apiDevice().api.sessionToken(),
		"without an HMAC":        members,
		"with another HMAC":      members + "." + mac[:len(mac)-4] + "AAAA",
		"with other members":     strings.Replace(members, members[20:24], "AAAA", 1) + "." + mac,
		"the browser's secret":   strings.Repeat("A", 26),
		"empty":                  "",
	} {
		b.jar = map[string]string{name: forged}
		t.Log(about)
		b.requireSignIn()
	}
	b.jar = map[string]string{name: token}
	b.requireAllowed("/")
}

// A code works once, in the browser that began the sign-in, and for the page that it was issued for.
func TestForwardAuth_StolenCodes(t *testing.T) {
	s, e := startForwardAuth(t)
	ada, ben := e.newUser("Ada", phone), e.newUser("Ben", phone)
	for name, attempt := range map[string]func(callback string, adas *forwardedBrowser) apiResponse{
		"in a browser that began none": func(callback string, _ *forwardedBrowser) apiResponse {
			return s.forwardedBrowser(t, wiki, ben).open(callback)
		},
		"in a browser that began another": func(callback string, _ *forwardedBrowser) apiResponse {
			bens := s.forwardedBrowser(t, wiki, ben)
			bens.open("/")
			return bens.open(callback)
		},
		"in that browser, which began the same": func(callback string, _ *forwardedBrowser) apiResponse {
			bens := s.forwardedBrowser(t, wiki, ben)
			bens.open("/page")
			return bens.open(callback)
		},
		"for another page": func(callback string, adas *forwardedBrowser) apiResponse {
			return adas.open(strings.Replace(callback, "path=%2Fpage", "path=%2Fdelete", 1))
		},
		"at another application": func(callback string, adas *forwardedBrowser) apiResponse {
			atAdmin := s.forwardedBrowser(t, adminPage, ben)
			atAdmin.jar = adas.jar
			return atAdmin.open(callback)
		},
		"with another code": func(callback string, adas *forwardedBrowser) apiResponse {
			return adas.open(callback[:len(callback)-4] + "AAAA")
		},
		"too late": func(callback string, adas *forwardedBrowser) apiResponse {
			e.advance(time.Minute)
			return adas.open(callback)
		},
		"after sign-out": func(callback string, adas *forwardedBrowser) apiResponse {
			ada.signsOut()
			defer ada.signsIn()
			return adas.open(callback)
		},
		"a second time": func(callback string, adas *forwardedBrowser) apiResponse {
			flow := adas.jar["__Host-keylodge_forward_auth_flow"]
			requireRedirect(t, adas.open(callback), wiki, "/page")
			adas.jar = map[string]string{"__Host-keylodge_forward_auth_flow": flow}
			return adas.open(callback)
		},
	} {
		adas := s.forwardedBrowser(t, wiki, ada)
		callback := adas.authorize(adas.open("/page"))
		got := attempt(callback, adas)
		if next := got.requireErrorPage(t, 401, "authorization_code_invalid"); next == "" || got.Header.Get("Set-Cookie") != "" {
			t.Errorf("%s: status %d, headers %v, body %s", name, got.StatusCode, got.Header, got.Body)
		}
		if name == "with another code" {
			continue
		}
		if got := adas.open(callback); name != "a second time" && got.StatusCode != 401 {
			t.Errorf("%s: the attempt has not used the code up: status %d", name, got.StatusCode)
		}
	}
	ada.requireSignedIn()
	// Login CSRF: the attacker makes Ada's browser open a callback with the attacker's code.
	adas, bens := s.forwardedBrowser(t, wiki, ada), s.forwardedBrowser(t, wiki, ben)
	adas.signIn("/")
	token := adas.jar["__Host-keylodge_forward_auth"]
	requireRedirect(t, adas.open(bens.authorize(bens.open("/"))), wiki, "/")
	if adas.jar["__Host-keylodge_forward_auth"] != token {
		t.Error("Ada's browser has another token")
	}
}

// The application gets the cookies of its host. With them and a code it cannot get tokens for the API.
func TestForwardAuth_ApplicationCannotRedeem(t *testing.T) {
	s, e := startForwardAuth(t)
	ada := e.newUser("Ada", phone)
	b := s.forwardedBrowser(t, wiki, ada)
	callback, err := url.Parse(b.authorize(b.open("/page")))
	if err != nil {
		t.Fatal(err)
	}
	returnTo := wiki + "/.keylodge/callback?path=%2Fpage"
	flow := b.jar["__Host-keylodge_forward_auth_flow"]
	ada.requireRejected(e.app().redeemCode(callback.Query().Get("code"), flow+strings.Repeat("-", 43-len(flow)), returnTo), "authorization_code_invalid")
}

// Every redirect leads to this server's page or to the application that the proxy protects.
func TestForwardAuth_OpenRedirects(t *testing.T) {
	s, e := startForwardAuth(t)
	var table struct{ Rejected []string }
	text, err := os.ReadFile("../domain/testdata/returnaddresses.json")
	if err == nil {
		err = json.Unmarshal(text, &table)
	}
	if err != nil || len(table.Rejected) < 80 {
		t.Fatalf("%d addresses, %v", len(table.Rejected), err)
	}
	b := s.forwardedBrowser(t, wiki, e.newUser("Ada", phone))
	b.signIn("/")
	signedIn := b.jar
	for _, address := range table.Rejected {
		b.jar = signedIn
		got := b.open("/.keylodge/callback?path=" + url.QueryEscape(address) + "&code=klc_x")
		location := got.Header.Get("Location")
		if rest, within := strings.CutPrefix(location, wiki); got.StatusCode != 303 || !within || rest != "" && rest[0] != '/' && rest[0] != '?' {
			t.Errorf("the path %q: status %d, location %q", address, got.StatusCode, location)
		}
		if strings.ContainsFunc(address, func(r rune) bool { return r < ' ' || r > '~' }) {
			continue // no header can have it
		}
		b.jar = map[string]string{}
		for _, uri := range []string{address, "/" + address, "/x?" + address} {
			got := b.open(uri)
			if got.StatusCode == 400 && uri == "" {
				continue
			}
			page := requireRedirect(t, got, s.origin, "/login")
			if returnTo := page.Query().Get("return_to"); !strings.HasPrefix(returnTo, wiki+"/.keylodge/callback?path=") {
				t.Errorf("%q: returns to %q", uri, returnTo)
			}
		}
	}
}

// A user reads an error in the language of the browser, and gets on; a program gets the problem document.
func TestForwardAuth_ErrorPage(t *testing.T) {
	s, e := startForwardAuth(t)
	b := s.forwardedBrowser(t, wiki, e.newUser("Ada", phone))
	const callback = "/.keylodge/callback?path=%2Fpage%3Fa%3D1%26b%3D2&code=klc_x"
	for language, words := range map[string][2]string{
		"de-AT,de;q=0.9": {"Die Anmeldung hat nicht geklappt", "Erneut anmelden"}, "fr": {"You could not be signed in", "Sign in again"}, "": {"You could not be signed in", "Sign in again"},
	} {
		got := b.send(append(append(proxied(wiki, callback), navigation...), "Accept-Language", language)...)
		if next := got.requireErrorPage(t, 401, "authorization_code_invalid"); next != wiki+"/page?a=1&b=2" {
			t.Errorf("%s: the next step is %s", language, next)
		}
		for _, text := range words {
			if !strings.Contains(string(got.Body), text) {
				t.Errorf("%s: the page lacks %q: %s", language, text, got.Body)
			}
		}
	}
	if next := b.open("/.keylodge/callback?path=%zz").requireErrorPage(t, 400, "invalid_request"); next != wiki {
		t.Errorf("the next step is %s", next)
	}
	if html := string(b.open("/.keylodge/callback?path=%zz").Body); !strings.Contains(html, "Back to Wiki") {
		t.Errorf("the page is %s", html)
	}
	for name, headers := range map[string][]string{
		"a program": {"Accept", "application/json"}, "curl": {"Accept", "*/*"}, "no header": nil, "a script": {"Sec-Fetch-Mode", "cors", "Accept", "text/html"},
	} {
		t.Log(name)
		if got := b.send(append(proxied(wiki, callback), headers...)...); got.StatusCode != 401 || got.problem(t).Code != "authorization_code_invalid" {
			t.Errorf("status %d, %s", got.StatusCode, got.Body)
		}
	}
}
