package acceptance

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/acceptance/testkit/client"
	"github.com/keylodge/keylodge/bootstrap/config"
)

func (a apiResponse) csrfToken(t *testing.T) string {
	t.Helper()
	var body client.SessionResponse
	if err := json.Unmarshal(a.Body, &body); err != nil || body.CSRFToken == "" {
		t.Fatalf("no CSRF token in %d %s", a.StatusCode, a.Body)
	}
	return body.CSRFToken
}

// sessionCookieOf returns the Cookie header with the session cookie of a response.
func sessionCookieOf(t *testing.T, a apiResponse) string {
	t.Helper()
	for _, cookie := range a.Cookies() {
		if strings.HasSuffix(cookie.Name, "keylodge_session") {
			return cookie.Name + "=" + cookie.Value
		}
	}
	t.Fatalf("no session cookie in %d %v", a.StatusCode, a.Header)
	return ""
}

// mutatingCalls are the calls that change something for the signed-in user, each with a body that can be parsed.
var mutatingCalls = []struct{ method, path, body string }{
	{http.MethodDelete, "/v1/session", ""},
	{http.MethodPost, "/v1/session/token", ""},
	{http.MethodPost, "/v1/session/step-up/options", ""},
	{http.MethodPost, "/v1/session/step-up/verify", "{}"},
	{http.MethodPatch, "/v1/me", `{"display_name":"Mallory"}`},
	{http.MethodDelete, "/v1/me", ""},
	{http.MethodPost, "/v1/me/passkeys/options", ""},
	{http.MethodPost, "/v1/me/passkeys/verify", "{}"},
	{http.MethodPatch, "/v1/me/passkeys/AAAA", `{"name":"Mine"}`},
	{http.MethodDelete, "/v1/me/passkeys/AAAA", ""},
	{http.MethodDelete, "/v1/me/sessions", ""},
	{http.MethodDelete, "/v1/me/sessions/01a206fa-f19b-71aa-8eee-8e90a9bc70db", ""},
}

// replaceFirst returns s with another first character.
func replaceFirst(s string) string {
	if s[0] == 'A' {
		return "B" + s[1:]
	}
	return "A" + s[1:]
}

// Requirement: ASVS-3.5.1, NIST-5.1, OWASP-CSRF-double-submit, OWASP-CSRF-simple-requests
func TestCSRF_CookieAloneChangesNothing(t *testing.T) {
	t.Parallel()
	s := startServer(t, newClock(), nil)
	_, ada := signUpWithHeaders(t, s, s.origin)
	_, ben := signUpWithHeaders(t, s, s.origin)
	cookie, good := sessionCookieOf(t, ada), ada.csrfToken(t)
	nonce, mac, _ := strings.Cut(good, ".")
	for name, token := range map[string]string{
		"none":                   "",
		"another session's":      ben.csrfToken(t),
		"a forged one":           strings.Repeat("A", len(nonce)) + "." + strings.Repeat("A", len(mac)),
		"one with another nonce": replaceFirst(nonce) + "." + mac,
		"one with another MAC":   nonce + "." + replaceFirst(mac),
		"one without a MAC":      nonce + ".",
		"a truncated one":        good[:len(good)-1],
		"one with a suffix":      good + "A",
		"two":                    good + ", " + good,
		"the session token":      strings.SplitN(cookie, "=", 2)[1],
		"a long one":             good + strings.Repeat("A", 4000),
	} {
		for _, call := range mutatingCalls {
			got := s.send(t, call.method, call.path, call.body, "Cookie", cookie, "X-CSRF-Token", token, "Origin", s.origin, "Sec-Fetch-Site", "same-origin")
			if p := got.problem(t); p.Code != "csrf_rejected" || got.StatusCode != 403 {
				t.Errorf("%s with %s: %d %s", call.path, name, got.StatusCode, p.Code)
			}
		}
	}
	session := s.send(t, http.MethodGet, "/v1/session", "", "Cookie", cookie)
	if session.StatusCode != 200 || strings.Contains(string(session.Body), "Mallory") {
		t.Errorf("afterwards: %d %s", session.StatusCode, session.Body)
	}
	// The control case: with its CSRF token the cookie is accepted.
	for _, call := range mutatingCalls[1:] {
		if got := s.send(t, call.method, call.path, call.body, "Cookie", cookie, "X-CSRF-Token", good); got.StatusCode == 403 || got.StatusCode == 401 {
			t.Errorf("%s with the right one: %d %s", call.path, got.StatusCode, got.Body)
		}
		if call.path == "/v1/me" && call.method == http.MethodDelete {
			break // the session has ended
		}
	}
}

// Requirement: OWASP-CSRF-double-submit
func TestCSRF_ReloadedPageGetsNewToken(t *testing.T) {
	t.Parallel()
	s := startServer(t, newClock(), nil)
	_, verify := signUpWithHeaders(t, s, s.origin)
	cookie := sessionCookieOf(t, verify)
	first := s.send(t, http.MethodGet, "/v1/csrf", "", "Cookie", cookie).csrfToken(t)
	second := s.send(t, http.MethodGet, "/v1/csrf", "", "Cookie", cookie).csrfToken(t)
	if first == second || first == verify.csrfToken(t) {
		t.Error("two responses have the same token, which compression could reveal (BREACH)")
	}
	for _, token := range []string{first, second, verify.csrfToken(t)} {
		if got := s.send(t, http.MethodPatch, "/v1/me", `{}`, "Cookie", cookie, "X-CSRF-Token", token); got.StatusCode != 200 {
			t.Errorf("status %d, body %s", got.StatusCode, got.Body)
		}
	}
	s.send(t, http.MethodGet, "/v1/csrf", "").requireProblem(t, 401, "unauthenticated")
}

// A page of another site cannot use the session cookie, whether its origin is allowed or not.
func TestCSRF_OtherSitesUseTokensOnly(t *testing.T) {
	t.Parallel()
	const partner = "https://app.example.org"
	s := startServer(t, newClock(), func(c *config.Config) { c.Origins = append(c.Origins, partner) })
	_, verify := signUpWithHeaders(t, s, s.origin)
	cookie, token := sessionCookieOf(t, verify), verify.csrfToken(t)
	for _, headers := range [][]string{{"Origin", partner, "Sec-Fetch-Site", "cross-site"}, {"Origin", partner}} {
		headers = append(headers, "Cookie", cookie, "X-CSRF-Token", token)
		s.send(t, http.MethodGet, "/v1/session", "", headers...).requireProblem(t, 401, "unauthenticated")
		s.send(t, http.MethodPatch, "/v1/me", `{"display_name":"Mallory"}`, headers...).requireProblem(t, 401, "unauthenticated")

		rejected := s.send(t, http.MethodPost, "/v1/login/verify", verifyBody("01a206fa-f19b-71aa-8eee-8e90a9bc70db"), headers...)
		rejected.requireProblem(t, 400, "invalid_request")
		if p := rejected.problem(t); len(p.Errors) != 1 || p.Errors[0].Field != "transport" || !strings.Contains(p.Errors[0].Detail, "bearer") {
			t.Errorf("the reported errors are %+v, want one for transport", p.Errors)
		}
	}
	// A page of an allowed origin can sign in with tokens.
	options, appClient := signUpForTokens(t, s, partner, "Origin", partner, "Sec-Fetch-Site", "cross-site")
	if len(options.Cookies())+len(appClient.Cookies()) != 0 {
		t.Errorf("sign-up with tokens sets cookies: %v %v", options.Cookies(), appClient.Cookies())
	}
	got := s.send(t, http.MethodPatch, "/v1/me", `{"display_name":"Ada"}`, "Authorization", "Bearer "+appClient.tokens(t).AccessToken, "Origin", partner, "Sec-Fetch-Site", "cross-site")
	if got.StatusCode != 200 || got.Header.Get("Access-Control-Allow-Origin") != partner {
		t.Errorf("status %d, header %v, body %s", got.StatusCode, got.Header, got.Body)
	}
}
