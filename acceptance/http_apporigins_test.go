package acceptance

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/bootstrap/config"
)

// Apps in web views and browser extensions call the API with tokens. For every value of Sec-Fetch-Site, the server sets and
// accepts no cookies.
// Requirement: ASVS-3.4.1
func TestAppOrigins_CallWithTokensAlone(t *testing.T) {
	t.Parallel()
	const (
		extension = "chrome-extension://abcdefghijklmnopabcdefghijklmnop"
		webView   = "capacitor://localhost"
		local     = "http://localhost"
	)
	s := startServer(t, newClock(), func(c *config.Config) { c.AppOrigins = []string{extension, webView, local} })
	_, owner := signUpWithHeaders(t, s, s.origin)
	cookie, csrf := sessionCookieOf(t, owner), owner.csrfToken(t)
	for _, origin := range []string{extension, webView, local} {
		for _, site := range []string{"", "none", "same-site", "same-origin", "cross-site"} {
			headers := []string{"Origin", origin}
			if site != "" {
				headers = append(headers, "Sec-Fetch-Site", site)
			}
			preflight := s.send(t, http.MethodOptions, "/v1/me", "", append(headers, "Access-Control-Request-Method", "PATCH", "Access-Control-Request-Headers", "authorization")...)
			config := s.send(t, http.MethodGet, "/v1/config", "", headers...)
			for _, got := range []apiResponse{preflight, config} {
				if got.Header.Get("Access-Control-Allow-Origin") != origin || got.Header.Get("Access-Control-Allow-Credentials") != "" {
					t.Errorf("%s, %s: %d %v", origin, site, got.StatusCode, got.Header)
				}
			}
			if !strings.Contains(preflight.Header.Get("Access-Control-Allow-Methods"), "PATCH") {
				t.Errorf("%s, %s: %v", origin, site, preflight.Header)
			}

			withCookie := slices.Concat(headers, []string{"Cookie", cookie, "X-CSRF-Token", csrf})
			s.send(t, http.MethodGet, "/v1/session", "", withCookie...).requireProblem(t, 401, "unauthenticated")
			s.send(t, http.MethodPatch, "/v1/me", `{"display_name":"Mallory"}`, withCookie...).requireProblem(t, 401, "unauthenticated")
			for _, transport := range []string{"", `,"transport":"cookie"`} {
				body := strings.TrimSuffix(verifyBody("01a206fa-f19b-71aa-8eee-8e90a9bc70db"), "}") + transport + "}"
				rejected := s.send(t, http.MethodPost, "/v1/login/verify", body, headers...)
				if p := rejected.problem(t); rejected.StatusCode != 400 || len(p.Errors) != 1 || p.Errors[0].Field != "transport" {
					t.Errorf("%s, %s, %s: %d %s", origin, site, transport, rejected.StatusCode, rejected.Body)
				}
			}
		}
	}

	// The browser writes the extension's origin into the client data.
	headers := []string{"Origin", extension, "Sec-Fetch-Site", "none"}
	options, appClient := signUpForTokens(t, s, extension, headers...)
	if appClient.StatusCode != 201 || len(options.Cookies())+len(appClient.Cookies()) != 0 {
		t.Fatalf("status %d, body %s, cookies %v %v, want 201 without cookies", appClient.StatusCode, appClient.Body, options.Cookies(), appClient.Cookies())
	}
	got := s.send(t, http.MethodPatch, "/v1/me", `{"display_name":"Ada"}`, append(headers, "Authorization", "Bearer "+appClient.tokens(t).AccessToken)...)
	if got.StatusCode != 200 {
		t.Errorf("status %d, body %s", got.StatusCode, got.Body)
	}
	// In a web view the app performs the ceremony, under its own origin.
	_, inWebView := signUpForTokens(t, s, webView, "Origin", webView)
	inWebView.requireProblem(t, 422, "passkey_rejected")
	_, ofApp := signUpForTokens(t, s, s.origin, "Origin", webView)
	if ofApp.StatusCode != 201 {
		t.Errorf("status %d, body %s", ofApp.StatusCode, ofApp.Body)
	}
	// An extension that is not listed is rejected.
	s.send(t, http.MethodPost, "/v1/login/options", "", "Origin", strings.Replace(extension, "abc", "cba", 1)).requireProblem(t, 403, "cross_origin_rejected")
}
