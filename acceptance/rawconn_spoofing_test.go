package acceptance

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
	"github.com/keylodge/keylodge/acceptance/testkit/client"
	"github.com/keylodge/keylodge/bootstrap/config"
)

// The client IP is the peer's address, or the one that a trusted proxy states (OWASP ASVS 5.0, 4.1.3 and 15.3.4). The test
// uses a raw connection.
// Requirement: ASVS-4.1.3
func TestClientIP_SpoofedHeadersIgnored(t *testing.T) {
	t.Parallel()
	const loopback, otherNet = "127.0.0.0/8", "10.0.0.0/8"
	for name, c := range map[string]struct {
		proxies string
		headers string
		want    string
	}{
		"no trusted proxy":                    {"", "X-Forwarded-For: 203.0.113.9\r\n", "127.0.0.1"},
		"another trusted proxy":               {otherNet, "X-Forwarded-For: 203.0.113.9\r\n", "127.0.0.1"},
		"no trusted proxy, IPv6":              {"", "X-Forwarded-For: 2001:db8::9\r\n", "127.0.0.1"},
		"a trusted proxy":                     {loopback, "X-Forwarded-For: 203.0.113.9\r\n", "203.0.113.9"},
		"a header in lower case":              {loopback, "x-forwarded-for: 203.0.113.9\r\n", "203.0.113.9"},
		"a proxy without the header":          {loopback, "", "127.0.0.1"},
		"a proxy with an empty header":        {loopback, "X-Forwarded-For:\r\n", "127.0.0.1"},
		"a forged leftmost address":           {loopback, "X-Forwarded-For: 6.6.6.6, 203.0.113.9\r\n", "203.0.113.9"},
		"a forged proxy's address":            {loopback, "X-Forwarded-For: 127.0.0.1, 203.0.113.9\r\n", "203.0.113.9"},
		"two proxies in a row":                {loopback + " " + otherNet, "X-Forwarded-For: 6.6.6.6, 203.0.113.9, 10.0.0.7\r\n", "203.0.113.9"},
		"two proxies, one not trusted":        {loopback, "X-Forwarded-For: 203.0.113.9, 10.0.0.7\r\n", "10.0.0.7"},
		"a header from each proxy":            {loopback + " " + otherNet, "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 203.0.113.9\r\nX-Forwarded-For: 10.0.0.7\r\n", "203.0.113.9"},
		"a forged header, and the proxy's":    {loopback, "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 203.0.113.9\r\n", "203.0.113.9"},
		"only trusted addresses":              {loopback + " " + otherNet, "X-Forwarded-For: 10.0.0.9, 10.0.0.7\r\n", "10.0.0.9"},
		"a malformed address from the proxy":  {loopback, "X-Forwarded-For: 203.0.113.9, unknown\r\n", "127.0.0.1"},
		"a malformed address in the middle":   {loopback + " " + otherNet, "X-Forwarded-For: 203.0.113.9, <script>, 10.0.0.7\r\n", "10.0.0.7"},
		"a malformed address from the client": {loopback, "X-Forwarded-For: ' OR 1=1, 203.0.113.9\r\n", "203.0.113.9"},
		"an empty address in the middle":      {loopback + " " + otherNet, "X-Forwarded-For: 203.0.113.9,, 10.0.0.7\r\n", "10.0.0.7"},
		"IPv6":                                {loopback, "X-Forwarded-For: 2001:DB8::0009\r\n", "2001:db8::9"},
		"IPv6 with a zone":                    {loopback, "X-Forwarded-For: fe80::1%eth0\r\n", "fe80::1"},
		"IPv6 in brackets":                    {loopback, "X-Forwarded-For: [2001:db8::9]\r\n", "2001:db8::9"},
		"IPv6 with a port":                    {loopback, "X-Forwarded-For: [2001:db8::9]:4711\r\n", "2001:db8::9"},
		"IPv4 with a port":                    {loopback, "X-Forwarded-For: 203.0.113.9:4711\r\n", "203.0.113.9"},
		"IPv4 as IPv6":                        {loopback, "X-Forwarded-For: ::ffff:203.0.113.9\r\n", "203.0.113.9"},
		"a proxy's IPv4 as IPv6":              {loopback + " " + otherNet, "X-Forwarded-For: 203.0.113.9, ::ffff:10.0.0.7\r\n", "203.0.113.9"},
		"IPv4 with zeros":                     {loopback, "X-Forwarded-For: 203.000.113.009\r\n", "127.0.0.1"},
		"IPv4 as a number":                    {loopback, "X-Forwarded-For: 3405803785\r\n", "127.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			s := startServer(t, newClock(), trustProxies(strings.Fields(c.proxies)...))
			verify := s.signUpOverRawConn(t, s.origin, c.headers)
			if !strings.Contains(string(verify.Body), `"ip":"`+c.want+`"`) {
				t.Errorf("want %s in %s", c.want, verify.Body)
			}
		})
	}
}

func trustProxies(proxies ...string) func(*config.Config) {
	return func(cfg *config.Config) {
		for _, proxy := range proxies {
			cfg.TrustedProxies = append(cfg.TrustedProxies, netip.MustParsePrefix(proxy))
		}
	}
}

// sendLines sends a request with additional header lines and returns the response.
func (s *server) sendLines(t testing.TB, request, headers, body string) apiResponse {
	t.Helper()
	if !strings.Contains("\n"+headers, "\nHost: ") {
		headers = "Host: " + strings.TrimPrefix(s.origin, "http://") + "\r\n" + headers
	}
	if body != "" {
		headers += jsonContentType
	}
	return s.dial(t).send(fmt.Sprintf("%s HTTP/1.1\r\n%sContent-Length: %d\r\n\r\n%s", request, headers, len(body), body)).readResponse(http.MethodGet)
}

// signUpOverRawConn signs up as a browser on a page of the origin does.
func (s *server) signUpOverRawConn(t testing.TB, origin, headers string) apiResponse {
	t.Helper()
	headers += "Origin: " + origin + "\r\nSec-Fetch-Site: same-origin\r\n"
	options := s.sendLines(t, "POST /v1/signup/options", headers, "{}")
	var begun client.Ceremony
	if err := json.Unmarshal(options.Body, &begun); err != nil || len(options.Cookies()) == 0 {
		t.Fatalf("status %d, body %s: %v", options.StatusCode, options.Body, err)
	}
	credential, err := authenticator.New(origin).Create(begun.Options)
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(map[string]any{"challenge_id": begun.ChallengeID, "credential": credential})
	if err != nil {
		t.Fatal(err)
	}
	cookie := options.Cookies()[0]
	verify := s.sendLines(t, "POST /v1/signup/verify", headers+"Cookie: "+cookie.Name+"="+cookie.Value+"\r\n", string(body))
	if verify.StatusCode != http.StatusCreated {
		t.Fatalf("status %d, body %s", verify.StatusCode, verify.Body)
	}
	return verify
}

// spoofedHeaders are headers that state the client's address, the host, the scheme, or another path or method. The server
// ignores all of them, from every peer.
var spoofedHeaders = map[string]string{
	"another host":             "Host: evil.example\r\n",
	"another port":             "Host: localhost:1\r\n",
	"another address":          "Host: 203.0.113.1\r\n",
	"X-Forwarded-Host":         "X-Forwarded-Host: evil.example\r\n",
	"X-Forwarded-Host, two":    "X-Forwarded-Host: localhost\r\nX-Forwarded-Host: evil.example\r\n",
	"X-Forwarded-Proto, https": "X-Forwarded-Proto: https\r\n",
	"X-Forwarded-Proto, http":  "X-Forwarded-Proto: http\r\n",
	"X-Forwarded-Protocol":     "X-Forwarded-Protocol: https\r\n",
	"X-Forwarded-Scheme":       "X-Forwarded-Scheme: https\r\n",
	"X-Forwarded-Ssl":          "X-Forwarded-Ssl: on\r\n",
	"X-Url-Scheme":             "X-Url-Scheme: https\r\n",
	"Front-End-Https":          "Front-End-Https: on\r\n",
	"X-Forwarded-Port":         "X-Forwarded-Port: 1\r\n",
	"X-Forwarded-Server":       "X-Forwarded-Server: evil.example\r\n",
	"X-Forwarded-Prefix":       "X-Forwarded-Prefix: /evil\r\n",
	"X-Forwarded-Path":         "X-Forwarded-Path: /v1/config\r\n",
	"Forwarded":                "Forwarded: for=6.6.6.6;host=evil.example;proto=https\r\n",
	"X-Real-IP":                "X-Real-IP: 6.6.6.6\r\n",
	"True-Client-IP":           "True-Client-IP: 6.6.6.6\r\n",
	"CF-Connecting-IP":         "CF-Connecting-IP: 6.6.6.6\r\n",
	"X-Client-IP":              "X-Client-IP: 6.6.6.6\r\n",
	"X-Cluster-Client-IP":      "X-Cluster-Client-IP: 6.6.6.6\r\n",
	"Fastly-Client-IP":         "Fastly-Client-IP: 6.6.6.6\r\n",
	"Client-IP":                "Client-IP: 6.6.6.6\r\n",
	"X-Forwarded":              "X-Forwarded: for=6.6.6.6\r\n",
	"Via":                      "Via: 1.1 evil.example\r\n",
	"X-Original-URL":           "X-Original-URL: /v1/config\r\n",
	"X-Rewrite-URL":            "X-Rewrite-URL: /v1/config\r\n",
	"X-Original-Host":          "X-Original-Host: evil.example\r\n",
	"X-Host":                   "X-Host: evil.example\r\n",
	"X-HTTP-Method-Override":   "X-HTTP-Method-Override: DELETE\r\n",
	"X-HTTP-Method":            "X-HTTP-Method: DELETE\r\n",
	"X-Method-Override":        "X-Method-Override: DELETE\r\n",
	"Base-Url":                 "Base-Url: https://evil.example\r\n",
	"Referer":                  "Referer: https://evil.example/\r\n",
	"a name with underscores":  "X_Forwarded_For: 6.6.6.6\r\n",
}

var varyingText = regexp.MustCompile(`(?m)^(Date|X-Request-Id): .*$|"request_id":"[^"]*"`)

// stableText returns the response without the values that differ each time.
func (a apiResponse) stableText(t testing.TB) string {
	t.Helper()
	var text strings.Builder
	fmt.Fprintln(&text, a.StatusCode)
	if err := a.Header.Write(&text); err != nil {
		t.Fatal(err)
	}
	return varyingText.ReplaceAllString(strings.ReplaceAll(text.String(), "\r", "")+string(a.Body), "")
}

// Requirement: ASVS-4.1.3
func TestHeaders_SpoofedOnesHaveNoEffect(t *testing.T) {
	t.Parallel()
	const public = "https://id.example.org"
	overHTTPS := func(c *config.Config) {
		c.PublicURL, c.RPID, c.Origins = public, "id.example.org", []string{public, "https://shop.example.com"}
	}
	for name, c := range map[string]struct {
		adjust  func(*config.Config)
		origin  string
		proxies []string
	}{
		"localhost, no proxy": {origin: ""},
		"localhost, a proxy":  {origin: "", proxies: []string{"127.0.0.0/8"}},
		"https, no proxy":     {origin: public, adjust: overHTTPS},
		"https, a proxy":      {origin: public, adjust: overHTTPS, proxies: []string{"127.0.0.0/8"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := startServer(t, newClock(), func(cfg *config.Config) {
				if c.adjust != nil {
					c.adjust(cfg)
				}
				trustProxies(c.proxies...)(cfg)
			})
			origin := s.origin
			prefix, attributes := "keylodge_", []string{"HttpOnly"}
			if c.origin != "" {
				origin, prefix, attributes = c.origin, "__Host-keylodge_", []string{"HttpOnly", "Secure", "Path=/"}
			}
			session := s.signUpOverRawConn(t, origin, "").Cookies()[0]
			cookie := "Cookie: " + session.Name + "=" + session.Value + "\r\n"
			requests := map[string]struct{ request, headers, body string }{
				"the settings":           {"GET /v1/config", "", ""},
				"the page":               {"GET /", "", ""},
				"the OpenAPI document":   {"GET /openapi.json", "", ""},
				"passkey endpoints":      {"GET /.well-known/passkey-endpoints", "", ""},
				"related origins":        {"GET /.well-known/webauthn", "", ""},
				"an unknown path":        {"GET /nothing", "", ""},
				"a wrong method":         {"POST /v1/config", "", "{}"},
				"another site's page":    {"POST /v1/login/options", "Origin: https://evil.example\r\n", "{}"},
				"a read by another site": {"GET /v1/config", "Origin: https://evil.example\r\n", ""},
				"a form of another site": {"POST /v1/login/options", "Sec-Fetch-Site: cross-site\r\n", "{}"},
				"no CSRF token":          {"DELETE /v1/session", cookie, ""},
				"the session":            {"GET /v1/session", cookie, ""},
			}
			want := map[string]string{}
			for name, q := range requests {
				want[name] = s.sendLines(t, q.request, q.headers, q.body).stableText(t)
			}
			for forgery, headers := range spoofedHeaders {
				for name, q := range requests {
					if got := s.sendLines(t, q.request, q.headers+headers, q.body).stableText(t); got != want[name] {
						t.Errorf("%s changes the response to %s:\n%s\nwithout it\n%s", forgery, name, got, want[name])
					}
				}
				verify := s.signUpOverRawConn(t, origin, headers)
				if !strings.Contains(string(verify.Body), `"ip":"127.0.0.1"`) {
					t.Errorf("%s: %s", forgery, verify.Body)
				}
				set := verify.Header.Get("Set-Cookie")
				for _, attribute := range append(attributes, prefix) {
					if !strings.Contains(strings.ToLower(set), strings.ToLower(attribute)) {
						t.Errorf("%s: the cookie is %s", forgery, set)
					}
				}
				if strict := verify.Header.Get("Strict-Transport-Security"); (strict != "") != (c.origin != "") {
					t.Errorf("%s: Strict-Transport-Security is %q", forgery, strict)
				}
			}
			// An absolute target has a host, too.
			for name, q := range requests {
				method, path, _ := strings.Cut(q.request, " ")
				if got := s.sendLines(t, method+" http://evil.example"+path, q.headers, q.body).stableText(t); got != want[name] {
					t.Errorf("another host in the target changes the response to %s:\n%s\nwithout it\n%s", name, got, want[name])
				}
			}
			if strings.Contains(s.log.text(), "6.6.6.6") {
				t.Error("the log has a forged address")
			}
		})
	}
}
