package acceptance

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/bootstrap"
)

// members are the paths of every member of a JSON document.
func members(t *testing.T, document []byte) []string {
	t.Helper()
	var value any
	if err := json.Unmarshal(document, &value); err != nil {
		t.Fatalf("%v in %s", err, document)
	}
	var paths []string
	var walk func(string, any)
	walk = func(at string, value any) {
		object, isObject := value.(map[string]any)
		if !isObject {
			paths = append(paths, at)
		}
		for name, member := range object {
			walk(strings.TrimPrefix(at+"."+name, "."), member)
		}
	}
	walk("", value)
	slices.Sort(paths)
	return paths
}

func TestAnswersHaveTheirForm(t *testing.T) {
	s := startServer(t, newClock(), nil)
	options, verify := signUpByHand(t, s, s.origin, "User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
	session := s.send(t, http.MethodGet, "/v1/session", "", "Cookie", verify.Cookies()[0].Name+"="+verify.Cookies()[0].Value)

	sessionMembers := []string{
		"session.amr", "session.assurance", "session.auth_time", "session.created_at", "session.current", "session.device.ip",
		"session.device.name", "session.device.user_agent", "session.expires_at", "session.id", "session.last_seen_at",
		"user.created_at", "user.display_name", "user.email", "user.email_verified", "user.id",
	}
	passkeyMembers := []string{
		"passkey.authenticator.aaguid", "passkey.authenticator.name", "passkey.backed_up", "passkey.backup_eligible", "passkey.created_at",
		"passkey.id", "passkey.last_used_at", "passkey.name", "passkey.sign_count", "passkey.status", "passkey.transports",
		"signals.accepted_credential_ids", "signals.display_name", "signals.name", "signals.rp_id", "signals.user_id",
	}
	for name, c := range map[string]struct {
		answer answer
		status int
		want   []string
	}{
		"config":            {s.send(t, http.MethodGet, "/v1/config", ""), 200, []string{"email", "recovery.policy", "registration", "rp_id", "rp_name"}},
		"verify":            {verify, 201, slices.Concat(passkeyMembers[:11], sessionMembers[:11], passkeyMembers[11:], sessionMembers[11:])},
		"session":           {session, 200, sessionMembers},
		"passkey endpoints": {s.send(t, http.MethodGet, "/.well-known/passkey-endpoints", ""), 200, []string{"enroll", "manage"}},
		"livez":             {s.send(t, http.MethodGet, "/livez", ""), 200, []string{"status"}},
		"readyz":            {s.send(t, http.MethodGet, "/readyz", ""), 200, []string{"status"}},
	} {
		slices.Sort(c.want)
		if got := members(t, c.answer.body); c.answer.StatusCode != c.status || !slices.Equal(got, c.want) || c.answer.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %v\ngot  %v\nwant %v", name, c.answer.StatusCode, c.answer.Header, got, c.want)
		}
	}
	if got := members(t, options.body); !slices.Contains(got, "challenge_id") || !slices.Contains(got, "expires_at") || !slices.Contains(got, "options.challenge") {
		t.Errorf("options: %v", got)
	}
	if !strings.Contains(string(session.body), `"name":"Firefox on Linux"`) {
		t.Errorf("the device is not named: %s", session.body)
	}
}

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
			if strict := got.Header.Get("Strict-Transport-Security"); (strict != "") != (public != "") {
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
			if c.forwarded != "" {
				headers = append(headers, "X-Forwarded-For", c.forwarded)
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
