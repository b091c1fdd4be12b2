package acceptance

import (
	"net/http"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/adapters/httpapi"
	"github.com/keylodge/keylodge/bootstrap/config"
)

// Browsers, phones and password managers accept these documents only as application/json and without a redirect.
func TestWellKnown_Documents(t *testing.T) {
	t.Parallel()
	const certificate = "00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF"
	s := startServer(t, newClock(), func(c *config.Config) {
		c.PublicURL, c.RPID = "https://id.example.org", "example.org"
		c.Origins = []string{c.PublicURL, "https://app.example.org", "https://shop.example.com", "http://localhost:3000", "android:apk-key-hash:" + strings.Repeat("A", 43)}
		c.WellKnown = httpapi.WellKnown{
			AndroidApps:    []httpapi.AndroidApp{{Package: "org.example.app", Fingerprints: []string{certificate}}},
			AppleApps:      []string{"A1B2C3D4E5.org.example.app"},
			ChangePassword: "https://id.example.org/",
		}
	})
	for path, want := range map[string]string{
		"/.well-known/webauthn": `{"origins":["https://shop.example.com"]}`,
		"/.well-known/assetlinks.json": `[{"relation":["delegate_permission/common.handle_all_urls","delegate_permission/common.get_login_creds"],` +
			`"target":{"namespace":"android_app","package_name":"org.example.app","sha256_cert_fingerprints":["` + certificate + `"]}}]`,
		"/.well-known/apple-app-site-association": `{"webcredentials":{"apps":["A1B2C3D4E5.org.example.app"]}}`,
		"/.well-known/passkey-endpoints":          `{"enroll":"https://id.example.org/account/passkeys","manage":"https://id.example.org/account/passkeys"}`,
	} {
		got := s.send(t, http.MethodGet, path, "", "Origin", "https://elsewhere.example")
		if got.StatusCode != 200 || string(got.Body) != want {
			t.Errorf("%s: %d %s\nwant %s", path, got.StatusCode, got.Body, want)
		}
		for name, value := range map[string]string{
			"Content-Type": "application/json", "Cache-Control": "public, max-age=3600", "Cross-Origin-Resource-Policy": "cross-origin", "X-Content-Type-Options": "nosniff",
		} {
			if got.Header.Get(name) != value {
				t.Errorf("%s: %s is %q", path, name, got.Header.Get(name))
			}
		}
		if head := s.send(t, http.MethodHead, path, ""); head.StatusCode != 200 || len(head.Body) > 0 {
			t.Errorf("HEAD %s: %d", path, head.StatusCode)
		}
	}
	got := s.send(t, http.MethodGet, "/.well-known/change-password", "")
	if got.StatusCode != 302 || got.Header.Get("Location") != "https://id.example.org/" || got.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("change-password: %d %v", got.StatusCode, got.Header)
	}
}

func TestWellKnown_UnconfiguredIs404(t *testing.T) {
	t.Parallel()
	s := startServer(t, newClock(), nil)
	for _, path := range []string{
		"webauthn", "assetlinks.json", "apple-app-site-association", "change-password",
		"resource-that-should-not-exist-whose-status-code-should-not-be-200", // password managers request it to check that unknown paths return 404
	} {
		s.send(t, http.MethodGet, "/.well-known/"+path, "").requireProblem(t, 404, "not_found")
	}
}
