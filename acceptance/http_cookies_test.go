package acceptance

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
	"github.com/keylodge/keylodge/acceptance/testkit/client"
	"github.com/keylodge/keylodge/adapters/masterkey"
	"github.com/keylodge/keylodge/bootstrap/config"
)

// signUpWithHeaders signs up as a browser on the given origin does, with a cookie. It sends the headers with both requests, and
// returns both responses.
func signUpWithHeaders(t *testing.T, s *server, origin string, headers ...string) (options, verify apiResponse) {
	t.Helper()
	return s.signUp(t, origin, "cookie", headers)
}

// signUpForTokens is signUpWithHeaders of an app client, whose session has tokens.
func signUpForTokens(t *testing.T, s *server, origin string, headers ...string) (options, verify apiResponse) {
	t.Helper()
	return s.signUp(t, origin, "bearer", headers)
}

func (s *server) signUp(t *testing.T, origin, transport string, headers []string) (options, verify apiResponse) {
	t.Helper()
	c := client.New(s.origin, s.transport) // a cookie jar would not send the cookies of an https origin
	for i := 0; i < len(headers); i += 2 {
		c.Header.Add(headers[i], headers[i+1])
	}
	c.OnResponse = func(response *client.Response) { options, verify = verify, apiResponse{response} }
	begun, err := c.BeginSignUp(client.SignUpOptionsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	credential, err := authenticator.New(origin).Create(begun.Options)
	if err != nil {
		t.Fatal(err)
	}
	for _, cookie := range verify.Cookies() {
		c.Header.Add("Cookie", cookie.Name+"="+cookie.Value)
	}
	var rejected *client.Problem // the caller checks the response
	if _, err := c.FinishSignUp(client.SignUpVerifyRequest{ChallengeID: begun.ChallengeID, Credential: credential, Transport: transport}); err != nil && !errors.As(err, &rejected) {
		t.Fatal(err)
	}
	return options, verify
}

// Requirement: ASVS-3.3.1, NIST-5.1, NIST-5.1.1
func TestCookies_Attributes(t *testing.T) {
	t.Parallel()
	const public = "https://id.example.org"
	for name, c := range map[string]struct {
		adjust         func(*config.Config)
		prefix, secure string
	}{
		"over https": {func(c *config.Config) {
			c.PublicURL, c.RPID, c.Origins = public, "id.example.org", []string{public}
		}, "__Host-", "; secure"},
		"on localhost": {nil, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := startServer(t, newClock(), c.adjust)
			origin := s.origin
			if c.secure != "" {
				origin = public
			}
			options, verify := signUpWithHeaders(t, s, origin, "Origin", origin, "Sec-Fetch-Site", "same-origin")
			if verify.StatusCode != 201 {
				t.Fatalf("status %d, body %s", verify.StatusCode, verify.Body)
			}
			bound, session := strings.ToLower(options.Header.Get("Set-Cookie")), strings.ToLower(verify.Header.Get("Set-Cookie"))
			for cookie, want := range map[string]string{
				bound:   strings.ToLower(c.prefix) + "keylodge_browser=*; path=/; httponly" + c.secure + "; samesite=strict",
				session: strings.ToLower(c.prefix) + "keylodge_session=*; max-age=2592000; path=/; httponly" + c.secure + "; samesite=lax",
			} {
				name, rest, _ := strings.Cut(cookie, "=")
				_, attributes, _ := strings.Cut(rest, ";")
				if got := name + "=*;" + attributes; got != want {
					t.Errorf("got  %s\nwant %s", got, want)
				}
			}
			out := s.send(t, http.MethodDelete, "/v1/session", "", "Cookie", verify.Cookies()[0].Name+"="+verify.Cookies()[0].Value,
				"X-CSRF-Token", verify.csrfToken(t))
			// A browser clears a cookie only if the header has the attributes that the cookie's name requires.
			cleared := strings.ToLower(c.prefix) + "keylodge_session=; expires=thu, 01 jan 1970 00:00:01 gmt; path=/; httponly" + c.secure + "; samesite=lax"
			if got := out.Header.Values("Set-Cookie"); out.StatusCode != 204 || len(got) != 1 || strings.ToLower(got[0]) != cleared {
				t.Errorf("signing out returns %d\ngot  %s\nwant %s", out.StatusCode, got, cleared)
			}
			if token := verify.Cookies()[0].Value; strings.Contains(string(verify.Body), token) || strings.Contains(s.log.text(), token) {
				t.Error("the session token is in a body or in the log")
			}
		})
	}
}

// Requirement: OWASP-sessions-strict
func TestCookies_ForgedOnesAreIgnored(t *testing.T) {
	t.Parallel()
	s := startServer(t, newClock(), nil)
	_, verify := signUpWithHeaders(t, s, s.origin)
	token := verify.Cookies()[0].Value
	if got := s.send(t, http.MethodGet, "/v1/session", "", "Cookie", "keylodge_session="+token); got.StatusCode != 200 {
		t.Fatalf("status %d, body %s", got.StatusCode, got.Body)
	}
	forged := token[:4] + strings.Repeat("A", len(token)-4)
	for _, cookie := range []string{
		"keylodge_session=", "keylodge_session=kls_", "keylodge_session=" + forged, "keylodge_session=" + strings.ToUpper(token),
		"__Host-keylodge_session=" + token, "keylodge_session=" + strings.Repeat("x", 4000), "keylodge_session=' OR 1=1 --",
	} {
		s.send(t, http.MethodGet, "/v1/session", "", "Cookie", cookie).requireProblem(t, 401, "unauthenticated")
	}

	// A forged browser cookie is ignored: the server sets a new one.
	var own *http.Cookie
	for _, forgedValue := range []string{"AAAAAAAAAAAAAAAAAAAAAAAAAA.AAAA", "AAAAAAAAAAAAAAAAAAAAAAAAAA.", "AAAAAAAAAAAAAAAAAAAAAAAAAA", "."} {
		options := s.send(t, http.MethodPost, "/v1/login/options", "", "Origin", s.origin, "Cookie", "keylodge_browser="+forgedValue)
		if len(options.Cookies()) != 2 {
			t.Fatalf("the forged browser cookie %q was accepted", forgedValue)
		}
		if own != nil && own.Value == options.Cookies()[0].Value {
			t.Error("two browsers got the same cookie")
		}
		own = options.Cookies()[0]
	}
	second := s.send(t, http.MethodPost, "/v1/login/options", "", "Origin", s.origin, "Cookie", own.Name+"="+own.Value)
	if len(second.Cookies()) != 0 {
		t.Error("a valid browser cookie was replaced, which breaks the ceremonies in other tabs")
	}
}

// For an old browser, which sends Origin but no Fetch Metadata, the site is ours if the origin's domain is the RP ID or a
// subdomain.
func TestBindingCookie_SiteByOriginWithoutFetchMetadata(t *testing.T) {
	t.Parallel()
	const public, app, lookalike = "https://id.example.org", "https://app.example.org", "https://notexample.org"
	s := startServer(t, newClock(), func(c *config.Config) {
		c.PublicURL, c.RPID, c.Origins = public, "example.org", []string{public, app, lookalike}
	})
	for origin, bound := range map[string]bool{public: true, app: true, lookalike: false} {
		if got := s.send(t, http.MethodPost, "/v1/login/options", "", "Origin", origin); got.StatusCode != 200 || (len(got.Cookies()) > 0) != bound {
			t.Errorf("%s: %d, bound %t", origin, got.StatusCode, !bound)
		}
	}
}

func TestBindingCookie_SetForThisSiteOnly(t *testing.T) {
	t.Parallel()
	const partner = "https://app.example.org"
	s := startServer(t, newClock(), func(c *config.Config) { c.Origins = append(c.Origins, partner) })
	for name, c := range map[string]struct {
		headers []string
		bound   bool
	}{
		"the server's page":            {[]string{"Origin", s.origin, "Sec-Fetch-Site", "same-origin"}, true},
		"the same, in an old browser":  {[]string{"Origin", s.origin}, true},
		"an allowed page on this site": {[]string{"Origin", s.origin, "Sec-Fetch-Site", "same-site"}, true},
		"an allowed page elsewhere":    {[]string{"Origin", partner, "Sec-Fetch-Site", "cross-site"}, false},
		"elsewhere, in an old browser": {[]string{"Origin", partner}, false},
		"no browser":                   {nil, false},
		"a URL entered by the user":    {[]string{"Sec-Fetch-Site", "none"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			got := s.send(t, http.MethodPost, "/v1/login/options", "", c.headers...)
			if bound := len(got.Cookies()) > 0; got.StatusCode != 200 || bound != c.bound {
				t.Errorf("status %d, bound %t", got.StatusCode, bound)
			}
		})
	}
}

// A new secret must not break pending ceremonies, and a cookie of the previous secret must not stay valid for ever.
// Requirement: ASVS-13.3.1
func TestBindingCookie_PreviousSecretVerifiesOnly(t *testing.T) {
	t.Parallel()
	var previous, current masterkey.Key
	before := startServer(t, newClock(), func(c *config.Config) { previous = *c.Secret })
	after := startServer(t, newClock(), func(c *config.Config) {
		c.PreviousSecrets, current = []masterkey.Key{previous}, *c.Secret
	})
	unrelated := startServer(t, newClock(), nil)
	successor := startServer(t, newClock(), func(c *config.Config) { c.Secret = &current })

	// cookie returns the cookie that the server sets for a request with the given cookie: "" if the given one is valid.
	cookie := func(s *server, brought string) string {
		t.Helper()
		for _, cookie := range s.send(t, http.MethodPost, "/v1/login/options", "", "Origin", s.origin, "Cookie", "keylodge_browser="+brought).Cookies() {
			return cookie.Value
		}
		return ""
	}
	if cookieValue := cookie(before, ""); cookie(after, cookieValue) != "" {
		t.Error("a cookie of the previous secret is rejected")
	} else if cookie(unrelated, cookieValue) == "" || cookie(successor, cookieValue) == "" {
		t.Error("a cookie of a secret that is not configured is accepted")
	}
	if cookieValue := cookie(after, ""); cookie(successor, cookieValue) != "" {
		t.Error("a new cookie is signed with the previous secret")
	}
}
