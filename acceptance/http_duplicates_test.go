package acceptance

import (
	"net/http"
	"strings"
	"testing"
)

// A duplicate of a single-value header is ambiguous: a proxy may use one value and this server the other.
// Requirement: OWASP-CSRF-origin, OWASP-CSRF-simple-requests
func TestHeaders_DuplicatesRejected(t *testing.T) {
	t.Parallel()
	s := startServer(t, newClock(), nil)
	session := s.signUpOverRawConn(t, s.origin, "")
	cookie := "Cookie: " + session.Cookies()[0].Name + "=" + session.Cookies()[0].Value + "\r\n"
	csrf := session.csrfToken(t)
	_, verify := signUpForTokens(t, s, s.origin)
	bearer := verify.tokens(t).AccessToken
	for header, c := range map[string]struct{ request, others, right, wrong string }{
		"Authorization":     {"GET /v1/session", "", "Bearer " + bearer, "Bearer x"},
		"X-CSRF-Token":      {"PATCH /v1/me", cookie, csrf, "x"},
		"Content-Type":      {"POST /v1/login/options", "Content-Length: 2\r\n", "application/json", "text/plain"},
		"Content-Encoding":  {"POST /v1/login/options", "Content-Length: 2\r\nContent-Type: application/json\r\n", "identity", "gzip"},
		"Origin":            {"POST /v1/login/options", "", s.origin, "https://evil.example"},
		"Sec-Fetch-Site":    {"POST /v1/login/options", "", "same-origin", "cross-site"},
		"Transfer-Encoding": {"POST /v1/login/options", "", "chunked", "identity"},
	} {
		ask := func(name string, values ...string) apiResponse {
			t.Helper()
			raw := c.request + " HTTP/1.1\r\n" + host + c.others
			for _, value := range values {
				raw += name + ": " + value + "\r\n"
			}
			body := map[bool]string{true: "{}", false: ""}[strings.Contains(c.others, "Content-Length")]
			if header == "Transfer-Encoding" {
				body = lastChunk
			}
			return s.dial(t).send(raw + "\r\n" + body).readResponse(http.MethodGet)
		}
		if once := ask(header, c.right); once.StatusCode != 200 {
			t.Errorf("%s, once: %d %s", header, once.StatusCode, once.Body)
		}
		for _, twice := range [][]string{{c.right, c.wrong}, {c.wrong, c.right}, {c.right, c.right}, {c.right, ""}} {
			for _, name := range []string{header, strings.ToLower(header), strings.ToUpper(header)} {
				got := ask(name, twice...)
				if got.StatusCode != 400 || got.problem(t).Code != "invalid_request" {
					t.Errorf("%s, %q: %d %s", name, twice, got.StatusCode, got.Body)
				}
			}
		}
		if header == "Transfer-Encoding" {
			continue // the error does not name the header, because the request is not valid HTTP
		}
		if p := ask(header, c.right, c.wrong).problem(t); len(p.Errors) != 1 || !strings.EqualFold(p.Errors[0].Field, header) || p.Errors[0].Code != "duplicate_header" {
			t.Errorf("the error does not name %s: %+v", header, p)
		}
	}
}

// An attacker who can set a cookie, for example for a path, could otherwise make Ada use the attacker's session, because that
// cookie comes first. A proxy may split a browser's cookies into several headers.
// Requirement: ASVS-3.3.1, NIST-5.1, NIST-5.1.1, OWASP-sessions-strict
func TestCookies_DuplicateSessionCookieRejected(t *testing.T) {
	t.Parallel()
	s := startServer(t, newClock(), nil)
	ada := s.signUpOverRawConn(t, s.origin, "").Cookies()[0]
	ben := s.signUpOverRawConn(t, s.origin, "").Cookies()[0]
	browser := s.sendLines(t, "POST /v1/login/options", "Origin: "+s.origin+"\r\n", "{}").Cookies()[0]
	pair := func(c *http.Cookie) string { return c.Name + "=" + c.Value }
	for name, c := range map[string]struct {
		headers string
		status  int
	}{
		"one":                       {"Cookie: " + pair(ada) + "\r\n", 200},
		"one among others":          {"Cookie: theme=dark; " + pair(ada) + "; theme=light\r\n", 200},
		"one, in several headers":   {"Cookie: theme=dark\r\nCookie: " + pair(ada) + "\r\nCookie: theme=light\r\n", 200},
		"the same twice":            {"Cookie: " + pair(ada) + "; " + pair(ada) + "\r\n", 200},
		"another before it":         {"Cookie: " + pair(ben) + "; " + pair(ada) + "\r\n", 400},
		"another after it":          {"Cookie: " + pair(ada) + "; " + pair(ben) + "\r\n", 400},
		"another, in a header":      {"Cookie: " + pair(ben) + "\r\nCookie: " + pair(ada) + "\r\n", 400},
		"a malformed one before it": {"Cookie: keylodge_session=x; " + pair(ada) + "\r\n", 400},
		"an empty one before it":    {"Cookie: keylodge_session=; " + pair(ada) + "\r\n", 400},
		"another browser's":         {"Cookie: " + pair(ada) + "; keylodge_browser=x; " + pair(browser) + "\r\n", 400},
		"a name in capitals":        {"Cookie: KEYLODGE_SESSION=x; " + pair(ada) + "\r\n", 200},
		"a prefix for HTTPS only":   {"Cookie: __Host-keylodge_session=x; " + pair(ada) + "\r\n", 200},
	} {
		got := s.sendLines(t, "GET /v1/session", c.headers, "")
		if got.StatusCode != c.status {
			t.Errorf("%s: %d %s", name, got.StatusCode, got.Body)
		}
		if c.status != 400 {
			continue
		}
		if p := got.problem(t); len(p.Errors) != 1 || p.Errors[0].Code != "duplicate_cookie" || !strings.Contains(p.Errors[0].Detail, "delete this site's cookies") ||
			strings.Contains(string(got.Body), ada.Value) {
			t.Errorf("%s: %s", name, got.Body)
		}
	}
}
