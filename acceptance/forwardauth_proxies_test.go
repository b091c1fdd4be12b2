package acceptance

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/security"

	"github.com/keylodge/keylodge/acceptance/testkit/browser"
	"github.com/keylodge/keylodge/acceptance/testkit/client"
	"github.com/keylodge/keylodge/acceptance/testkit/require"
	"github.com/keylodge/keylodge/domain"
)

// forwardAuthProxies are the proxies of docs/guides/forward-auth.md, which is in front of the application at appAddress.
var forwardAuthProxies = map[string]func(p *documentedProxy, appAddress string){
	"Caddy": func(p *documentedProxy, appAddress string) {
		p.startCaddy(require.Program(p.t, require.Caddy), p.block(forwardAuthGuide, "caddyfile", "127.0.0.1:3000", appAddress))
	},
	"nginx": func(p *documentedProxy, appAddress string) {
		nginx := require.Program(p.t, require.Nginx)
		p.makeCertificate("wiki.example.org")
		p.startNginx(nginx, p.block(forwardAuthGuide, "nginx", "127.0.0.1:3000", appAddress, "listen 443", "listen "+p.address))
	},
	"Traefik": func(p *documentedProxy, appAddress string) {
		traefik := require.Program(p.t, require.Traefik)
		p.makeCertificate("wiki.example.org")
		p.write("dynamic.yaml", p.block(forwardAuthGuide, "yaml", "127.0.0.1:3000", appAddress)+`
tls:
  certificates:
    - certFile: wiki.example.org.pem
      keyFile: wiki.example.org.key
`)
		p.write("traefik.yaml", `
global: {checkNewVersion: false, sendAnonymousUsage: false}
entryPoints: {websecure: {address: "`+p.address+`"}}
providers: {file: {filename: dynamic.yaml}}
`)
		p.start(traefik, "--configfile=traefik.yaml")
	},
}

const forwardAuthGuide = "guides/forward-auth.md"

// seenRequest is a request as the application sees it.
type seenRequest struct {
	Method, URI string
	Header      http.Header
}

// startDemoApplication returns the address of an application that shows the request.
func startDemoApplication(t *testing.T) string {
	t.Helper()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(seenRequest{r.Method, r.RequestURI, r.Header}); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(app.Close)
	return app.Listener.Addr().String()
}

// Each proxy runs with the block of the guide. The test replaces only addresses, and adds what the distribution's own configuration
// contains.
func TestForwardAuth_DocumentedConfiguration(t *testing.T) {
	t.Parallel()
	for name, run := range forwardAuthProxies {
		t.Run(name, func(t *testing.T) {
			clock := newClock()
			s := startServer(t, clock, combine(withForwardAuth, trustLoopback))
			p := newDocumentedProxy(t, s)
			run(p, startDemoApplication(t))
			ada := (&env{t: t, clock: clock, driver: httpDriver{s}}).newUser("Ada Lövelace", phone)
			user, _, err := ada.apiDevice().api.(*httpAPI).Session()
			if err != nil {
				t.Fatal(err)
			}
			ref, err := domain.ParseUserRef("user", user.ID)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.app.UseCases().Admin.ChangeGroups(t.Context(), ref, []domain.Group{"editors", "on-call"}, nil); err != nil {
				t.Fatal(err)
			}
			b := &proxiedBrowser{t: t, proxy: p, transport: p.transport(wiki)}
			b.forget()

			for name, headers := range map[string][]string{
				"a script": {"Sec-Fetch-Mode", "cors"}, "headers of a user": {"Sec-Fetch-Mode", "cors", "Remote-User", user.ID, "X-Forwarded-User", user.ID},
				"a session of this server": {"Sec-Fetch-Mode", "cors", "Cookie", sessionCookie + "=" + ada.apiDevice().api.sessionToken()},
			} {
				if got := b.send(http.MethodGet, "/", headers...); got.StatusCode != 401 || got.problem(t).Code != "unauthenticated" {
					t.Errorf("%s, not signed in: status %d, %s", name, got.StatusCode, got.Body)
				}
			}
			got := b.send(http.MethodPost, "/form", append(navigation, "Content-Type", "application/x-www-form-urlencoded")...)
			if page := requireRedirect(t, got, s.origin, "/login"); page.Query().Get("return_to") != wiki+"/.keylodge/callback?path=%2Fform" {
				t.Errorf("a form redirects to %s", page)
			}

			page := requireRedirect(t, b.send(http.MethodGet, "/page?edit=1&to=/x%20y", navigation...), s.origin, "/login")
			callback := ada.apiDevice().api.issueCode(page.Query().Get("return_to"), page.Query().Get("code_challenge"), "").must(t)
			flow := b.cookies()
			back := requireRedirect(t, b.send(http.MethodGet, strings.TrimPrefix(callback, wiki), navigation...), wiki, "/page")
			if back.RequestURI() != "/page?edit=1&to=/x%20y" {
				t.Errorf("returned to %s", back)
			}

			// The application sees its user, whatever headers the client sends.
			for name, headers := range map[string][]string{
				"a page":   navigation,
				"a script": {"Sec-Fetch-Mode", "cors"},
				"headers of another user": {
					"Remote-User", "mallory", "Remote-Email", "mallory@example.org", "Remote-Name", "Mallory", "Remote-Groups", "admins",
					"Remote_User", "mallory", "Remote_Email", "mallory@example.org", "Remote_Name", "Mallory", "Remote_Groups", "admins", "remote-user", "mallory",
				},
				"the address of another application": {"X-Forwarded-Host", "admin.example.net", "X-Forwarded-Proto", "http", "X-Forwarded-Method", "POST"},
			} {
				got := b.send(http.MethodGet, "/page?x=1", headers...)
				var seen seenRequest
				if err := json.Unmarshal(got.Body, &seen); got.StatusCode != 200 || err != nil {
					t.Errorf("%s: status %d, %s", name, got.StatusCode, got.Body)
					continue
				}
				if seen.Method != http.MethodGet || seen.URI != "/page?x=1" || strings.Join(seen.Header["Remote-User"], ",") != user.ID || strings.Join(seen.Header["Remote-Name"], ",") != "Ada Lövelace" || strings.Join(seen.Header["Remote-Groups"], ";") != "editors,on-call" {
					t.Errorf("%s: the application sees %+v", name, seen)
				}
				for header, values := range seen.Header {
					name := strings.ReplaceAll(strings.ToLower(header), "_", "-")
					if strings.HasPrefix(name, "remote-") && name != "remote-user" && name != "remote-name" && name != "remote-groups" && strings.Join(values, "") != "" || strings.Contains(strings.Join(values, " "), "allory") {
						t.Errorf("%s: the application sees %s: %s", name, header, values)
					}
				}
			}
			var posted seenRequest
			if got := b.send(http.MethodPost, "/form", navigation...); got.StatusCode != 200 || json.Unmarshal(got.Body, &posted) != nil || posted.Method != http.MethodPost || posted.Header.Get("Remote-User") != user.ID {
				t.Errorf("a form: status %d, %s", got.StatusCode, got.Body)
			}
			// A client that chooses what describes its request is rejected or treated as at this application.
			for name, headers := range map[string][]string{
				"an address": {"X-Forwarded-Uri", "/.keylodge/callback?path=/&code=x"}, "nginx's address": {"X-Original-URL", "https://admin.example.net/"},
			} {
				var seen seenRequest
				got := b.send(http.MethodGet, "/page", headers...)
				if got.StatusCode == 200 && json.Unmarshal(got.Body, &seen) == nil && seen.URI == "/page" && seen.Header.Get("Remote-User") == user.ID {
					continue
				}
				if got.StatusCode < 400 {
					t.Errorf("%s: status %d, %s", name, got.StatusCode, got.Body)
				}
			}

			ada.signsOut()
			requireRedirect(t, b.send(http.MethodGet, "/page", navigation...), s.origin, "/login")
			b.forget(flow...)
			if next := b.send(http.MethodGet, strings.TrimPrefix(callback, wiki), navigation...).requireErrorPage(t, 401, "authorization_code_invalid"); next != wiki+"/page?edit=1&to=/x%20y" {
				t.Errorf("the callback a second time leads to %s", next)
			}
		})
	}
}

// proxiedBrowser is a browser at the application behind a proxy.
type proxiedBrowser struct {
	t         *testing.T
	proxy     *documentedProxy
	transport http.RoundTripper
	jar       http.CookieJar
}

func (b *proxiedBrowser) address() *url.URL {
	return &url.URL{Scheme: "https", Host: "wiki.example.org"}
}

// forget deletes all cookies but these.
func (b *proxiedBrowser) forget(except ...*http.Cookie) {
	b.jar, _ = cookiejar.New(nil) // never fails
	b.jar.SetCookies(b.address(), except)
}

func (b *proxiedBrowser) cookies() []*http.Cookie {
	cookies := b.jar.Cookies(b.address())
	for _, cookie := range cookies {
		cookie.Secure, cookie.Path = true, "/"
	}
	return cookies
}

// send sends a request to the application, and does not follow redirects.
func (b *proxiedBrowser) send(method, uri string, headers ...string) apiResponse {
	b.t.Helper()
	body := ""
	if method == http.MethodPost {
		body = "a=b"
	}
	request, err := http.NewRequestWithContext(b.t.Context(), method, wiki+uri, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header[headers[i]] = append(request.Header[headers[i]], headers[i+1])
	}
	c := http.Client{Transport: b.transport, Jar: b.jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := c.Do(request)
	if err != nil {
		b.t.Fatal(err, b.proxy.log)
	}
	read, err := client.ReadResponse(response)
	if err != nil {
		b.t.Fatal(err)
	}
	return apiResponse{read}
}

// A user signs in on the page and comes back to the application, in a real browser and through each proxy.
func TestPage_SignsInThroughForwardAuth(t *testing.T) {
	t.Parallel()
	requireChromium(t)
	for name, run := range forwardAuthProxies {
		t.Run(name, func(t *testing.T) {
			clock := newClock()
			s := startServer(t, clock, combine(withForwardAuth, trustLoopback))
			p := newDocumentedProxy(t, s)
			run(p, startDemoApplication(t))
			p.transport(wiki)
			b := browserDriver{s}.newDeviceIn(browser.NewProfileBehindProxy(t, startConnectProxy(t, p.address)), t, phone)
			call(b, security.SetIgnoreCertificateErrors, security.SetIgnoreCertificateErrorsParams{Ignore: true}) // the proxy's authority is the test's
			b.signUp(profile{name: "Ada"}).must(t)
			seen := func() (seen seenRequest) {
				b.t.Helper()
				b.waitFor("the application", fmt.Sprintf(`location.origin === %q && document.readyState === 'complete'`, wiki))
				if err := json.Unmarshal([]byte(eval[string](b, `document.body.innerText`)), &seen); err != nil {
					t.Fatal(err)
				}
				return seen
			}
			b.navigate(wiki + "/page?x=1")
			first := seen()
			if first.URI != "/page?x=1" || first.Header.Get("Remote-User") == "" || first.Header.Get("Remote-Name") != "Ada" {
				t.Errorf("the application sees %+v", first)
			}
			if got := evalPromise(b, `fetch('/script').then(async (response) => response.status + ' ' + (await response.json()).URI)`); got != "200 /script" {
				t.Errorf("a script of the application gets %s", got)
			}

			// After sign-out, the user signs in on the page, and is back.
			b.open()
			b.signOut()
			b.navigate(wiki + "/page?x=2")
			b.waitFor("the sign-in", `window.pageState?.() === 'sign-in'`)
			b.setAutomaticPresence(true)
			b.press(named("sign-in"))
			if again := seen(); again.URI != "/page?x=2" || again.Header.Get("Remote-User") != first.Header.Get("Remote-User") {
				t.Errorf("the application sees %+v, want the same user", again)
			}
		})
	}
}

// startConnectProxy returns the address of an HTTP proxy that connects every host to the address.
func startConnectProxy(t *testing.T, address string) string {
	t.Helper()
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		backend, err := net.Dial("tcp", address)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer backend.Close()
		w.WriteHeader(http.StatusOK)
		client, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer client.Close()
		go func() { _, _ = io.Copy(backend, buffered); _ = backend.Close() }()
		_, _ = io.Copy(client, backend)
	}))
	t.Cleanup(proxy.Close)
	return proxy.Listener.Addr().String()
}
