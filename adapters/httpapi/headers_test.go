package httpapi

import "testing"

// Strict-Transport-Security applies to all ports of a host, so a loopback host must not have it.
// Requirement: ASVS-3.4.1
func TestConfig_StrictTransport(t *testing.T) {
	const year = "max-age=31536000"
	for publicURL, want := range map[string]string{
		"https://id.example.org":          year,
		"https://id.example.org:8443":     year,
		"https://localhost.example.org":   year,
		"https://notlocalhost":            year,
		"https://192.0.2.1":               year,
		"http://id.example.org":           "",
		"https://localhost":               "",
		"https://localhost:8443":          "",
		"https://LOCALHOST":               "",
		"https://localhost.:8443":         "",
		"https://id.localhost:8443":       "",
		"https://127.0.0.1:8443":          "",
		"https://127.8.0.1":               "",
		"https://[::1]:8443":              "",
		"https://[::ffff:127.0.0.1]:8443": "",
		"":                                "",
	} {
		if got := (Config{PublicURL: publicURL}).strictTransport(); got != want {
			t.Errorf("%s: got %q, want %q", publicURL, got, want)
		}
		if got := (Config{PublicURL: publicURL, OwnsSubdomains: true}).strictTransport(); (got == want+"; includeSubDomains") != (want != "") {
			t.Errorf("%s with OwnsSubdomains: got %q", publicURL, got)
		}
	}
}
