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

// changingCall is a request that changes something for the signed-in user.
type changingCall struct{ method, path, body string }

// changingCalls returns one for each such operation in the OpenAPI document. Those that end the session are the last ones.
func changingCalls(t *testing.T) (calls []changingCall) {
	t.Helper()
	var ending []changingCall
	for _, o := range readOpenAPI(t).operations(t) {
		id := "AAAA"
		if strings.Contains(o.path, "/sessions/") {
			id = "01a206fa-f19b-71aa-8eee-8e90a9bc70db"
		}
		call := changingCall{o.method, strings.Replace(o.path, "{id}", id, 1), ""}
		if o.requestMembers != nil {
			call.body = "{}"
		}
		switch {
		case o.id == "signOut" || o.id == "deleteAccount":
			ending = append(ending, call)
		case !o.public && o.method != http.MethodGet:
			calls = append(calls, call)
		}
	}
	if len(calls) < 15 || len(ending) != 2 {
		t.Fatalf("%d calls, of which %d end the session", len(calls), len(ending))
	}
	return append(calls, ending...)
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
		for _, call := range changingCalls(t) {
			got := s.send(t, call.method, call.path, call.body, "Cookie", cookie, "X-CSRF-Token", token, "Origin", s.origin, "Sec-Fetch-Site", "same-origin")
			if p := got.problem(t); p.Code != "csrf_rejected" || got.StatusCode != 403 {
				t.Errorf("%s with %s: %d %s", call.path, name, got.StatusCode, p.Code)
			}
		}
	}
	session := s.send(t, http.MethodGet, "/v1/session", "", "Cookie", cookie)
	if session.StatusCode != 200 {
		t.Errorf("afterwards: %d %s", session.StatusCode, session.Body)
	}
	// The control case: with its CSRF token the cookie is accepted.
	for _, call := range changingCalls(t) {
		got := s.send(t, call.method, call.path, call.body, "Cookie", cookie, "X-CSRF-Token", good)
		if got.StatusCode == 403 || got.StatusCode == 401 && call.path != "/v1/session" { // after the deletion of the account
			t.Errorf("%s with the right one: %d %s", call.path, got.StatusCode, got.Body)
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
