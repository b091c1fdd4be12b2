package acceptance

import (
	"net/http"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/bootstrap"
)

func TestOtherSitesChangeNothingHere(t *testing.T) {
	const partner = "https://app.example.org"
	s := startServer(t, newClock(), func(c *bootstrap.Config) { c.Origins = append(c.Origins, partner) })
	for name, c := range map[string]struct {
		headers []string
		refused bool
	}{
		"our own page":                     {[]string{"Origin", s.origin, "Sec-Fetch-Site", "same-origin"}, false},
		"an allowed origin on its site":    {[]string{"Origin", partner, "Sec-Fetch-Site", "cross-site"}, false},
		"a program":                        {nil, false},
		"a person who typed the address":   {[]string{"Sec-Fetch-Site", "none"}, false},
		"another site":                     {[]string{"Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"}, true},
		"another site without Origin":      {[]string{"Sec-Fetch-Site", "cross-site"}, true},
		"another site in an old browser":   {[]string{"Origin", "https://evil.example"}, true},
		"an opaque origin":                 {[]string{"Origin", "null"}, true},
		"a neighbour on our site":          {[]string{"Origin", "http://evil.localhost", "Sec-Fetch-Site", "same-site"}, true},
		"another port":                     {[]string{"Origin", "http://localhost:1", "Sec-Fetch-Site", "same-site"}, true},
		"another scheme":                   {[]string{"Origin", "https://localhost", "Sec-Fetch-Site", "cross-site"}, true},
		"ours in capitals":                 {[]string{"Origin", "HTTP" + s.origin[4:], "Sec-Fetch-Site", "cross-site"}, true},
		"ours with something behind it":    {[]string{"Origin", s.origin + ".evil.example"}, true},
		"ours with a slash":                {[]string{"Origin", s.origin + "/"}, true},
		"a liar about Sec-Fetch-Site only": {[]string{"Origin", "https://evil.example", "Sec-Fetch-Site", "same-origin"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			for _, call := range [][2]string{
				{http.MethodPost, "/v1/signup/options"}, {http.MethodPost, "/v1/signup/verify"},
				{http.MethodPost, "/v1/login/options"}, {http.MethodPost, "/v1/login/verify"}, {http.MethodDelete, "/v1/session"},
			} {
				got := s.send(t, call[0], call[1], "", c.headers...)
				if c.refused {
					got.wants(t, 403, "cross_origin_rejected")
				} else if got.StatusCode == 403 {
					t.Errorf("%s %s: %s", call[0], call[1], got.body)
				}
			}
		})
	}
}

func TestAllowedOriginsAndNobodyElseReadAnswers(t *testing.T) {
	const partner = "https://app.example.org"
	s := startServer(t, newClock(), func(c *bootstrap.Config) { c.Origins = append(c.Origins, partner) })
	for origin, want := range map[string]string{partner: partner, s.origin: s.origin, "https://evil.example": "", "null": ""} {
		got := s.send(t, http.MethodGet, "/v1/config", "", "Origin", origin)
		if allowed := got.Header.Get("Access-Control-Allow-Origin"); allowed != want {
			t.Errorf("GET from %s: Access-Control-Allow-Origin %q", origin, allowed)
		}
		if credentials := got.Header.Get("Access-Control-Allow-Credentials"); (credentials == "true") != (want != "") {
			t.Errorf("GET from %s: Access-Control-Allow-Credentials %q", origin, credentials)
		}
		if exposed := got.Header.Get("Access-Control-Expose-Headers"); strings.Contains(exposed, "X-Request-Id") != (want != "") {
			t.Errorf("GET from %s: Access-Control-Expose-Headers %q", origin, exposed)
		}
		if !strings.Contains(got.Header.Get("Vary"), "Origin") {
			t.Errorf("GET from %s: no Vary, so a cache would hand one origin's answer to another", origin)
		}
		preflight := s.send(t, http.MethodOptions, "/v1/login/options", "", "Origin", origin,
			"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "content-type")
		if preflight.StatusCode != 204 || preflight.Header.Get("Access-Control-Allow-Origin") != want || (preflight.Header.Get("Access-Control-Allow-Methods") != "") != (want != "") {
			t.Errorf("preflight from %s: %d %v", origin, preflight.StatusCode, preflight.Header)
		}
		if want != "" && (preflight.Header.Get("Access-Control-Allow-Methods") != "GET, POST, PATCH, DELETE" ||
			preflight.Header.Get("Access-Control-Allow-Headers") != "Authorization, Content-Type, X-CSRF-Token, X-Request-Id" ||
			preflight.Header.Get("Access-Control-Allow-Credentials") != "true" || preflight.Header.Get("Access-Control-Max-Age") == "") {
			t.Errorf("preflight from %s does not open the API: %v", origin, preflight.Header)
		}
	}
}

func TestReadingIsNotGuarded(t *testing.T) {
	s := startServer(t, newClock(), nil)
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		if got := s.send(t, method, "/v1/config", "", "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"); got.StatusCode != 200 {
			t.Errorf("%s: %d %s", method, got.StatusCode, got.body)
		}
	}
	s.send(t, http.MethodOptions, "/v1/config", "", "Origin", s.origin).wants(t, 405, "method_not_allowed") // no preflight
}
