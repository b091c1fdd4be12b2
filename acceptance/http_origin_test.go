package acceptance

import (
	"net/http"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/bootstrap/config"
)

// Requirement: ASVS-3.5.1, OWASP-CSRF-origin
func TestOrigin_OtherSitesRejected(t *testing.T) {
	t.Parallel()
	const partner = "https://app.example.org"
	s := startServer(t, newClock(), func(c *config.Config) { c.Origins = append(c.Origins, partner) })
	for name, c := range map[string]struct {
		headers  []string
		rejected bool
	}{
		"the server's page":                {[]string{"Origin", s.origin, "Sec-Fetch-Site", "same-origin"}, false},
		"an allowed origin elsewhere":      {[]string{"Origin", partner, "Sec-Fetch-Site", "cross-site"}, false},
		"no browser":                       {nil, false},
		"a URL entered by the user":        {[]string{"Sec-Fetch-Site", "none"}, false},
		"another site":                     {[]string{"Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"}, true},
		"the server's page without Origin": {[]string{"Sec-Fetch-Site", "same-origin"}, false},
		"another site without Origin":      {[]string{"Sec-Fetch-Site", "cross-site"}, true},
		"same-site without Origin":         {[]string{"Sec-Fetch-Site", "same-site"}, true},
		"upper case without Origin":        {[]string{"Sec-Fetch-Site", "Same-Origin"}, true},
		"a list without Origin":            {[]string{"Sec-Fetch-Site", "same-origin, cross-site"}, true},
		"an unknown value without Origin":  {[]string{"Sec-Fetch-Site", "same-party"}, true},
		"another site in an old browser":   {[]string{"Origin", "https://evil.example"}, true},
		"an opaque origin":                 {[]string{"Origin", "null"}, true},
		"another host of this site":        {[]string{"Origin", "http://evil.localhost", "Sec-Fetch-Site", "same-site"}, true},
		"another port":                     {[]string{"Origin", "http://localhost:1", "Sec-Fetch-Site", "same-site"}, true},
		"another scheme":                   {[]string{"Origin", "https://localhost", "Sec-Fetch-Site", "cross-site"}, true},
		"the origin in upper case":         {[]string{"Origin", "HTTP" + s.origin[4:], "Sec-Fetch-Site", "cross-site"}, true},
		"the origin with a suffix":         {[]string{"Origin", s.origin + ".evil.example"}, true},
		"the origin with a slash":          {[]string{"Origin", s.origin + "/"}, true},
		"a false Sec-Fetch-Site":           {[]string{"Origin", "https://evil.example", "Sec-Fetch-Site", "same-origin"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			for _, call := range [][2]string{
				{http.MethodPost, "/v1/signup/options"}, {http.MethodPost, "/v1/signup/verify"},
				{http.MethodPost, "/v1/login/options"}, {http.MethodPost, "/v1/login/verify"}, {http.MethodDelete, "/v1/session"},
			} {
				got := s.send(t, call[0], call[1], "", c.headers...)
				if c.rejected {
					got.requireProblem(t, 403, "cross_origin_rejected")
				} else if got.StatusCode == 403 {
					t.Errorf("%s %s: %s", call[0], call[1], got.Body)
				}
			}
		})
	}
}

// Requirement: ASVS-3.4.1
func TestCORS_AllowedOriginsOnly(t *testing.T) {
	t.Parallel()
	const partner = "https://app.example.org"
	s := startServer(t, newClock(), func(c *config.Config) { c.Origins = append(c.Origins, partner) })
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
			t.Errorf("GET from %s: no Vary, so a cache would return one origin's response to another", origin)
		}
		preflight := s.send(t, http.MethodOptions, "/v1/login/options", "", "Origin", origin,
			"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "content-type")
		if preflight.StatusCode != 204 || preflight.Header.Get("Access-Control-Allow-Origin") != want || (preflight.Header.Get("Access-Control-Allow-Methods") != "") != (want != "") {
			t.Errorf("preflight from %s: %d %v", origin, preflight.StatusCode, preflight.Header)
		}
		if want != "" && (preflight.Header.Get("Access-Control-Allow-Methods") != "GET, POST, PATCH, DELETE" ||
			preflight.Header.Get("Access-Control-Allow-Headers") != "Authorization, Content-Type, X-CSRF-Token, X-Request-Id" ||
			preflight.Header.Get("Access-Control-Allow-Credentials") != "true" || preflight.Header.Get("Access-Control-Max-Age") == "") {
			t.Errorf("preflight from %s does not allow the API's methods and headers: %v", origin, preflight.Header)
		}
	}
}

// Monitoring scripts add headers to a page's requests, and the browser asks first whether they are allowed (Fetch standard,
// section 3.2.2).
// Requirement: ASVS-3.4.1
func TestPreflight_AllowsRequestedHeaders(t *testing.T) {
	t.Parallel()
	const partner, own = "https://app.example.org", "Authorization, Content-Type, X-CSRF-Token, X-Request-Id"
	s := startServer(t, newClock(), func(c *config.Config) { c.Origins = append(c.Origins, partner) })
	many := strings.TrimSuffix(strings.Repeat("x-many,", 146), ",") // 1,021 bytes
	for requested, want := range map[string]string{
		"":                                    own,
		"content-type":                        own,
		"content-type,sentry-trace,baggage":   own + ", sentry-trace, baggage",
		"baggage, traceparent,\ttracestate":   own + ", baggage, traceparent, tracestate",
		"x-requested-with":                    own + ", x-requested-with",
		"b3,x-b3-spanid,x-b3-traceid":         own + ", b3, x-b3-spanid, x-b3-traceid",
		"newrelic,x-cloud-trace-context":      own + ", newrelic, x-cloud-trace-context",
		"x-datadog-origin,x-datadog-trace-id": own + ", x-datadog-origin, x-datadog-trace-id",
		"uber-trace-id,x-amzn-trace-id":       own + ", uber-trace-id, x-amzn-trace-id",
		"AUTHORIZATION,x-csrf-token,a,A":      own + ", a",
		",a,,b,":                              own + ", a, b",
		many:                                  own + ", x-many",
		many + ",abc":                         own, // 1,025 bytes
		"a,b c":                               own,
		"a:b":                                 own,
		"a\"b":                                own,
		"a;b":                                 own,
		"a\tb":                                own,
		"a,\u00e9":                            own,
	} {
		for _, method := range []string{"POST", "PATCH"} {
			got := s.send(t, http.MethodOptions, "/v1/login/options", "", "Origin", partner, "Access-Control-Request-Method", method,
				"Access-Control-Request-Headers", requested, "Access-Control-Request-Private-Network", "true")
			if allowed := got.Header.Get("Access-Control-Allow-Headers"); got.StatusCode != 204 || allowed != want {
				t.Errorf("%q: %d, allowed %q, want %q", requested, got.StatusCode, allowed, want)
			}
			if vary := got.Header.Get("Vary"); vary != "Origin, Access-Control-Request-Headers" {
				t.Errorf("%q: Vary %q", requested, vary)
			}
			if private := got.Header.Values("Access-Control-Allow-Private-Network"); len(private) > 0 {
				t.Errorf("%q: private network %q", requested, private)
			}
		}
	}
	got := s.send(t, http.MethodOptions, "/v1/login/options", "", "Origin", "https://evil.example",
		"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "traceparent")
	if allowed := got.Header.Values("Access-Control-Allow-Headers"); got.StatusCode != 204 || len(allowed) > 0 {
		t.Errorf("another origin: %d, allowed %q", got.StatusCode, allowed)
	}
}

// The binding cookie and the session cookie are set only if the browser will send them back.
// Requirement: OWASP-CSRF-origin
func TestCookies_SetForPagesOfThisSiteOnly(t *testing.T) {
	t.Parallel()
	const partner, sibling = "https://app.example.org", "http://app.localhost"
	s := startServer(t, newClock(), func(c *config.Config) { c.Origins = append(c.Origins, partner, sibling) })
	for _, c := range []struct {
		site, origin  string
		bound, cookie bool // whether a binding cookie is set, and whether the transport may be cookie
	}{
		{"", "", false, true},
		{"none", "", false, true},
		{"same-origin", "", true, true},
		{"same-origin", s.origin, true, true},
		{"", s.origin, true, true},
		{"same-site", sibling, true, true},
		{"", sibling, true, true},
		{"cross-site", s.origin, false, false},
		{"cross-site", partner, false, false},
		{"", partner, false, false},
		{"none", partner, false, false},
		{"same-origin, same-site", partner, false, false},
		{"SAME-SITE", partner, false, false},
	} {
		headers := []string{"Sec-Fetch-Site", c.site, "Origin", c.origin}
		options := s.send(t, http.MethodPost, "/v1/login/options", "", headers...)
		if options.StatusCode != 200 || (len(options.Cookies()) > 0) != c.bound {
			t.Errorf("%q from %q: %d, cookies %v", c.site, c.origin, options.StatusCode, options.Cookies())
		}
		verify := s.send(t, http.MethodPost, "/v1/login/verify", verifyBody("01a206fa-f19b-71aa-8eee-8e90a9bc70db"), headers...)
		if p := verify.problem(t); (p.Code == "challenge_not_found") != c.cookie || (len(p.Errors) == 1 && p.Errors[0].Field == "transport") == c.cookie {
			t.Errorf("%q from %q: %d %s", c.site, c.origin, verify.StatusCode, verify.Body)
		}
	}
}

func TestOrigin_ReadsAllowed(t *testing.T) {
	t.Parallel()
	s := startServer(t, newClock(), nil)
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		if got := s.send(t, method, "/v1/config", "", "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"); got.StatusCode != 200 {
			t.Errorf("%s: %d %s", method, got.StatusCode, got.Body)
		}
	}
	s.send(t, http.MethodOptions, "/v1/config", "", "Origin", s.origin).requireProblem(t, 405, "method_not_allowed") // no preflight
}
