package acceptance

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/acceptance/authenticator"
	"github.com/keylodge/keylodge/bootstrap"
)

// signUpByHand makes an account as a browser on the given origin would and returns the answers of both calls.
func signUpByHand(t *testing.T, s *server, origin string, headers ...string) (options, verify answer) {
	t.Helper()
	options = s.send(t, http.MethodPost, "/v1/signup/options", "", headers...)
	var begun ceremonyBody
	if err := json.Unmarshal(options.body, &begun); err != nil {
		t.Fatal(err)
	}
	made, err := authenticator.New(origin).Create(begun.Options)
	if err != nil {
		t.Fatal(err)
	}
	for _, cookie := range options.Cookies() {
		headers = append(headers, "Cookie", cookie.Name+"="+cookie.Value)
	}
	body := encode(t, map[string]any{"challenge_id": begun.ChallengeID, "credential": made})
	return options, s.send(t, http.MethodPost, "/v1/signup/verify", string(body), headers...)
}

func TestCookiesAreHeldTight(t *testing.T) {
	const public = "https://id.example.org"
	for name, c := range map[string]struct {
		adjust         func(*bootstrap.Config)
		prefix, secure string
	}{
		"over https": {func(c *bootstrap.Config) {
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
			options, verify := signUpByHand(t, s, origin, "Origin", origin, "Sec-Fetch-Site", "same-origin")
			if verify.StatusCode != 201 {
				t.Fatalf("%d %s", verify.StatusCode, verify.body)
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
			out := s.send(t, http.MethodDelete, "/v1/session", "", "Cookie", verify.Cookies()[0].Name+"="+verify.Cookies()[0].Value)
			if cleared := out.Cookies(); out.StatusCode != 204 || len(cleared) != 1 || cleared[0].Name != verify.Cookies()[0].Name || cleared[0].Value != "" || cleared[0].Expires.Year() > 1971 {
				t.Errorf("signing out answers %d %v", out.StatusCode, out.Header)
			}
			if token := verify.Cookies()[0].Value; strings.Contains(string(verify.body), token) || strings.Contains(s.log.text(), token) {
				t.Error("the session's token stands in a body or in the log")
			}
		})
	}
}

func TestOnlyOurOwnCookiesCount(t *testing.T) {
	s := startServer(t, newClock(), nil)
	_, verify := signUpByHand(t, s, s.origin)
	token := verify.Cookies()[0].Value
	if got := s.send(t, http.MethodGet, "/v1/session", "", "Cookie", "keylodge_session="+token); got.StatusCode != 200 {
		t.Fatalf("%d %s", got.StatusCode, got.body)
	}
	for _, cookie := range []string{
		"keylodge_session=", "keylodge_session=kls_", "keylodge_session=" + token[:len(token)-1] + "A", "keylodge_session=" + strings.ToUpper(token),
		"__Host-keylodge_session=" + token, "keylodge_session=" + strings.Repeat("x", 4000), "keylodge_session=' OR 1=1 --",
	} {
		if token[len(token)-1] == 'A' {
			t.Skip("the forged token would be the real one")
		}
		s.send(t, http.MethodGet, "/v1/session", "", "Cookie", cookie).wants(t, 401, "unauthenticated")
	}

	// A browser cookie that the server never made binds nothing: the server makes its own.
	options := s.send(t, http.MethodPost, "/v1/login/options", "", "Origin", s.origin, "Cookie", "keylodge_browser=AAAAAAAAAAAAAAAAAAAAAAAAAA.AAAA")
	if len(options.Cookies()) != 1 {
		t.Fatal("a made-up browser cookie was taken")
	}
	own := options.Cookies()[0]
	again := s.send(t, http.MethodPost, "/v1/login/options", "", "Origin", s.origin, "Cookie", own.Name+"="+own.Value)
	if len(again.Cookies()) != 0 {
		t.Error("a browser with a cookie of ours got another, which unbinds the ceremonies of its other tabs")
	}
}

func TestWhoIsBoundByACookie(t *testing.T) {
	const partner = "https://app.example.org"
	s := startServer(t, newClock(), func(c *bootstrap.Config) { c.Origins = append(c.Origins, partner) })
	for name, c := range map[string]struct {
		headers []string
		bound   bool
	}{
		"our own page":                  {[]string{"Origin", s.origin, "Sec-Fetch-Site", "same-origin"}, true},
		"our own page, an old browser":  {[]string{"Origin", s.origin}, true},
		"an allowed page on our site":   {[]string{"Origin", s.origin, "Sec-Fetch-Site", "same-site"}, true},
		"an allowed page on its site":   {[]string{"Origin", partner, "Sec-Fetch-Site", "cross-site"}, false},
		"the same, in an old browser":   {[]string{"Origin", partner}, false},
		"a program that is no browser":  {nil, false},
		"a page that was opened by URL": {[]string{"Sec-Fetch-Site", "none"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			got := s.send(t, http.MethodPost, "/v1/login/options", "", c.headers...)
			if bound := len(got.Cookies()) > 0; got.StatusCode != 200 || bound != c.bound {
				t.Errorf("status %d, bound %t", got.StatusCode, bound)
			}
		})
	}
}
