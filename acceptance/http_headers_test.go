package acceptance

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/bootstrap"
)

func TestEveryAnswerIsGuarded(t *testing.T) {
	for _, public := range []string{"", "https://id.example.org"} {
		s := startServer(t, newClock(), func(c *bootstrap.Config) {
			if public != "" {
				c.PublicURL, c.RPID, c.Origins = public, "id.example.org", []string{public}
			}
		})
		for _, path := range []string{"/v1/config", "/v1/session", "/nothing", "/livez"} {
			got := s.send(t, http.MethodGet, path, "")
			for name, want := range map[string]string{
				"X-Content-Type-Options":     "nosniff",
				"Referrer-Policy":            "no-referrer",
				"Content-Security-Policy":    "default-src 'none'; frame-ancestors 'none'",
				"Cross-Origin-Opener-Policy": "same-origin",
				"Server":                     "",
			} {
				if got.Header.Get(name) != want {
					t.Errorf("%s: %s is %q, want %q", path, name, got.Header.Get(name), want)
				}
			}
			if strict := got.Header.Get("Strict-Transport-Security"); (strict == "max-age=31536000") != (public != "") || public == "" && strict != "" {
				t.Errorf("%s at %q: Strict-Transport-Security is %q", path, public, strict)
			}
			if strings.HasPrefix(path, "/v1") && got.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s may be cached", path)
			}
		}
	}
}

func TestARequestIDIsTakenOverIfItIsSane(t *testing.T) {
	s := startServer(t, newClock(), nil)
	for given, kept := range map[string]bool{
		"4bf92f3577b34da6a3ce929d0e0e4736": true, "trace-01.a_B": true,
		"short": false, strings.Repeat("x", 65): false, "with space": false, "quote\"quote": false, "a=b;c=dddd": false, "": false,
	} {
		got := s.send(t, http.MethodGet, "/v1/config", "", "X-Request-Id", given).Header.Get("X-Request-Id")
		if (got == given) != kept || got == "" {
			t.Errorf("X-Request-Id %q was answered with %q", given, got)
		}
	}
}

func TestTheClientIsNotWhoItSaysItIs(t *testing.T) {
	for name, c := range map[string]struct {
		proxies   []string
		forwarded string
		want      string
	}{
		"nobody is trusted":               {nil, "203.0.113.9", "127.0.0.1"},
		"a proxy speaks for its client":   {[]string{"127.0.0.0/8"}, "203.0.113.9", "203.0.113.9"},
		"a client forges the left":        {[]string{"127.0.0.0/8"}, "6.6.6.6, 203.0.113.9", "203.0.113.9"},
		"two proxies in a row":            {[]string{"127.0.0.0/8", "10.0.0.0/8"}, "6.6.6.6, 203.0.113.9, 10.0.0.7", "203.0.113.9"},
		"a proxy that says nothing":       {[]string{"127.0.0.0/8"}, "", "127.0.0.1"},
		"a proxy that talks nonsense":     {[]string{"127.0.0.0/8"}, "203.0.113.9, unknown", "127.0.0.1"},
		"IPv6, an address mapped to it":   {[]string{"127.0.0.0/8"}, "::ffff:203.0.113.9", "203.0.113.9"},
		"IPv6, with a zone":               {[]string{"127.0.0.0/8"}, "fe80::1%eth0", "fe80::1"},
		"a header for each proxy":         {[]string{"127.0.0.0/8", "10.0.0.0/8"}, "6.6.6.6\n203.0.113.9\n10.0.0.7", "203.0.113.9"},
		"everybody in between is known":   {[]string{"127.0.0.0/8", "10.0.0.0/8"}, "10.0.0.9, 10.0.0.7", "10.0.0.9"},
		"a proxy that is somebody else's": {[]string{"10.0.0.0/8"}, "203.0.113.9", "127.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			s := startServer(t, newClock(), func(config *bootstrap.Config) {
				for _, proxy := range c.proxies {
					config.TrustedProxies = append(config.TrustedProxies, netip.MustParsePrefix(proxy))
				}
			})
			headers := []string{"X-Forwarded-Host", "evil.example", "X-Forwarded-Proto", "https", "X-Real-Ip", "7.7.7.7"}
			for header := range strings.SplitSeq(c.forwarded, "\n") {
				if header != "" {
					headers = append(headers, "X-Forwarded-For", header)
				}
			}
			_, verify := signUpByHand(t, s, s.origin, headers...)
			if !strings.Contains(string(verify.body), `"ip":"`+c.want+`"`) {
				t.Errorf("want %s in %s", c.want, verify.body)
			}
			if strings.Contains(verify.Header.Get("Set-Cookie"), "__Host-") {
				t.Error("a header made the server believe in https")
			}
		})
	}
}
