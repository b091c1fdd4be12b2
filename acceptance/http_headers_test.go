package acceptance

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/adapters/httpapi"
	"github.com/keylodge/keylodge/bootstrap/config"
)

// allRoutes returns method and path of each operation of the OpenAPI document, of the page and of its assets.
func allRoutes(t *testing.T) [][2]string {
	t.Helper()
	document, err := os.ReadFile(openAPIFile)
	if err != nil {
		t.Fatal(err)
	}
	var described struct {
		Paths map[string]map[string]json.RawMessage
	}
	if err := json.Unmarshal(document, &described); err != nil {
		t.Fatal(err)
	}
	var all [][2]string
	for path, operations := range described.Paths {
		for method := range operations {
			if method != "parameters" {
				all = append(all, [2]string{strings.ToUpper(method), strings.ReplaceAll(path, "{id}", "7")})
			}
		}
	}
	files, err := filepath.Glob("../adapters/webui/dist/assets/*")
	if err != nil || len(files) < 3 || len(all) < 40 {
		t.Fatalf("found %d operations and %d files of the page, %v", len(all), len(files), err)
	}
	all = append(all, [2]string{http.MethodGet, "/"})
	for _, file := range files {
		if extension := filepath.Ext(file); extension != ".br" && extension != ".gz" {
			all = append(all, [2]string{http.MethodGet, "/assets/" + filepath.Base(file)})
		}
	}
	return all
}

// Every response has the security headers: of each route with success or error, of unknown routes, and of requests that cannot be
// parsed (OWASP ASVS 5.0, 3.4; WebAuthn Level 3, section 13.4.8).
// Requirement: WebAuthn-13.4.8, ASVS-3.4.1, ASVS-16.5.1
func TestHeaders_SecurityHeadersOnEveryResponse(t *testing.T) {
	t.Parallel()
	for public, strict := range map[string]string{
		"": "", "https://id.example.org": "max-age=31536000; includeSubDomains", "https://example.org": "max-age=31536000",
		"https://localhost:8443": "", "https://id.localhost": "",
	} {
		configure := func(c *config.Config) {
			if public != "" {
				c.PublicURL, c.RPID, c.Origins = public, "example.org", []string{public}
				if strings.Contains(public, "localhost") {
					c.RPID = "localhost"
				}
			}
			c.WellKnown = httpapi.WellKnown{ChangePassword: c.PublicURL + "/", AppleApps: []string{"A1B2C3D4E5.org.example.app"}}
		}
		s, slow := startServer(t, newClock(), configure), startServer(t, newClock(), func(c *config.Config) {
			configure(c)
			c.ReadWriteTimeout = 300 * time.Millisecond
		})
		responses := map[string]apiResponse{}
		for _, call := range allRoutes(t) {
			method, path := call[0], call[1]
			responses[method+" "+path] = s.send(t, method, path, "")
			responses["HEAD "+path] = s.send(t, http.MethodHead, path, "")
			responses["PUT "+path] = s.send(t, http.MethodPut, path, "")
			responses["OPTIONS "+path] = s.send(t, http.MethodOptions, path, "", "Origin", s.origin, "Access-Control-Request-Method", "POST")
			if !strings.HasPrefix(path, "/v1") {
				responses["conditional "+path] = s.send(t, method, path, "", "If-None-Match", responses[method+" "+path].Header.Get("ETag"))
			}
		}
		for name, raw := range map[string]string{
			"an unknown path": "GET /nothing HTTP/1.1\r\n" + host + "\r\n", "an unknown method": "BREW /livez HTTP/1.1\r\n" + host + "\r\n",
			"two hosts": getLivez + host + "\r\n", "not HTTP": "\x16\x03\x01\r\n\r\n", "a folded header": getLivez + "X: a\r\n b\r\n\r\n", "lines that end in LF": "GET /livez HTTP/1.1\n\n",
			"a large body": postLoginOptions + "Content-Length: 70000\r\n\r\n", "a long header": getLivez + "X: " + strings.Repeat("x", 20<<10), "a slow request": getLivez,
		} {
			target := s
			if name == "a slow request" {
				target = slow
			}
			responses[name] = target.dial(t).send(raw).readResponse(http.MethodGet)
		}
		for name, got := range responses {
			page := strings.HasSuffix(name, " /") || strings.Contains(name, "/assets/")
			for header, want := range map[string]string{
				"X-Content-Type-Options":     "nosniff",
				"Referrer-Policy":            "no-referrer",
				"Cross-Origin-Opener-Policy": "same-origin",
				"Strict-Transport-Security":  strictAt(name, strict),
				"Server":                     "",
			} {
				if got.Header.Get(header) != want || len(got.Header.Values(header)) > 1 {
					t.Errorf("%s, %d: %s is %q, want %q", name, got.StatusCode, header, got.Header.Values(header), want)
				}
			}
			policies := got.Header.Values("Content-Security-Policy")
			if len(policies) != 1 || !strings.HasPrefix(policies[0], "default-src 'none'; ") || !strings.Contains(policies[0], "frame-ancestors 'none'") ||
				strings.Contains(policies[0], "unsafe") || strings.Contains(policies[0], "*") || strings.Contains(policies[0], "http") ||
				!page && policies[0] != "default-src 'none'; frame-ancestors 'none'" {
				t.Errorf("%s, %d: Content-Security-Policy is %q", name, got.StatusCode, policies)
			}
			passkeys := "publickey-credentials-get=()"
			if page && got.StatusCode < 400 {
				passkeys = "publickey-credentials-get=(self)"
			}
			if permissions := got.Header.Get("Permissions-Policy"); !strings.Contains(permissions, "camera=()") || !strings.Contains(permissions, passkeys) ||
				!strings.Contains(permissions, strings.Replace(passkeys, "get", "create", 1)) {
				t.Errorf("%s, %d: Permissions-Policy is %q", name, got.StatusCode, permissions)
			}
			if shared := got.Header.Get("Cross-Origin-Resource-Policy"); shared != "same-origin" && (shared != "cross-origin" || !strings.Contains(name, "/.well-known/")) {
				t.Errorf("%s, %d: Cross-Origin-Resource-Policy is %q", name, got.StatusCode, shared)
			}
			if strings.Contains(name, "/v1/") && !strings.HasPrefix(name, "OPTIONS ") && got.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s, %d may be cached", name, got.StatusCode)
			}
			if got.StatusCode >= 400 && !strings.HasPrefix(name, "HEAD ") {
				got.problem(t)
			}
		}
	}
}

// strictAt returns the value that a response must have. A proxy sends the answers about forward auth on as those of another host.
func strictAt(call, strict string) string {
	if strings.HasSuffix(call, " /v1/forward-auth") {
		return ""
	}
	return strict
}

// The audit log shows request ids to the account's owner, so the server generates them. The server's log has the client's
// X-Request-Id as an attribute of its own.
// Requirement: ASVS-16.2.5
func TestRequestID_GeneratedByServer(t *testing.T) {
	t.Parallel()
	s := startServer(t, newClock(), nil)
	seen := map[string]bool{}
	for sent, kept := range map[string]bool{
		"4bf92f3577b34da6a3ce929d0e0e4736": true, "trace-01.a_B": true, "CALL-555-0100-your-account-is-locked": true,
		"short": false, strings.Repeat("x", 65): false, "with space": false, "quote\"quote": false, "a=b;c=dddd": false, "": false,
	} {
		id := s.send(t, http.MethodGet, "/v1/config", "", "X-Request-Id", sent).Header.Get("X-Request-Id")
		if !regexp.MustCompile(`^[A-Z2-7]{26}$`).MatchString(id) || seen[id] {
			t.Errorf("the response to X-Request-Id %q has the request id %q", sent, id)
		}
		seen[id] = true
		want := ""
		if kept {
			want = sent
		}
		if got := s.log.clientRequestIDOf(id); got != want {
			t.Errorf("for X-Request-Id %q the log has client_request_id %q, want %q", sent, got, want)
		}
	}
	got := s.send(t, http.MethodGet, "/v1/config", "", "X-Request-Id", "trace-of-ada", "X-Request-Id", "trace-of-ben").Header.Values("X-Request-Id")
	if len(got) != 1 || strings.HasPrefix(got[0], "trace") || s.log.clientRequestIDOf(got[0]) != "" {
		t.Errorf("the response to two X-Request-Id headers has the request ids %q", got)
	}
}

// clientRequestIDOf returns client_request_id of the log line of a request.
func (l *logRecorder) clientRequestIDOf(requestID string) string {
	for line := range strings.Lines(l.text()) {
		var entry struct {
			Msg             string `json:"msg"`
			RequestID       string `json:"request_id"`
			ClientRequestID string `json:"client_request_id"`
		}
		if err := json.Unmarshal([]byte(line), &entry); err == nil && entry.Msg == "request" && entry.RequestID == requestID {
			return entry.ClientRequestID
		}
	}
	return "no log line"
}
