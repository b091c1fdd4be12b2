package useragent

import (
	"testing"

	"github.com/keylodge/keylodge/domain"
)

func TestNameOf(t *testing.T) {
	names := New()
	for userAgent, want := range map[string]string{
		"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0":                                                                  "Firefox on Linux",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1": "Safari on iPhone",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/605.1.15":                   "Safari on macOS",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0":           "Edge on Windows",
		"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36":                         "Chrome on Android",
		"Mozilla/5.0 (iPad; CPU OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1":          "Safari on iPad",
		"Keys/1.0 (Windows NT 10.0)": "Windows",
		"curl/8.5.0":                 "curl",
		"":                           "Unknown device",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/120.0.0.0 Mobile/15E148 Safari/604.1":                                             "Chrome on iPhone",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148":                                                                          "Safari on iPhone",
		"Mozilla/5.0 (Linux; Android 14; SM-S911B; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/120.0.0.0 Mobile Safari/537.36":                                                 "Chrome on Android",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 8_3 like Mac OS X) AppleWebKit/600.1.4 (KHTML, like Gecko) Mobile/12F70 Safari/600.1.4 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)": "iOS",
		"Mozilla/5.0 (X11; U; Linux x86_64; de-DE) AppleWebKit/534.35 (KHTML, like Gecko) Chrome/11.0.696.65 Safari/534.35 Puffin/3.9174IT":                                                      "iPad",
		"\x00\xff<script>alert(1)</script>": "Unknown device",
	} {
		if got := names.NameOf(userAgent); got != want {
			t.Errorf("NameOf(%q) = %q, want %q", userAgent, got, want)
		}
	}
}

// The client chooses the header, and the account's owner sees the name. The name contains no text of the header.
// Requirement: ASVS-16.2.5
func TestNameOf_ShowsNoTextOfTheClient(t *testing.T) {
	names := New()
	for _, text := range []string{"Call 555-0100 now", "Your account is locked", "evil.example", "Call5550100"} {
		for userAgent, want := range map[string]string{
			text:                                   "Unknown device",
			text + "/1.0":                          "Unknown device",
			text + "/1.0 CFNetwork/1490 Darwin/23": "iOS",
			text + "/1.0 (Windows NT 10.0)":        "Windows",
			text + " bot/1.0":                      "Unknown device",
			text + "Bot/2.0 (X11; Linux x86_64)":   "Linux",
			"Mozilla/5.0 (Linux; Android 10; " + text + " Build/X) AppleWebKit/537.36": "Android Browser on Android",
			"Mozilla/5.0 (compatible; " + text + "; +http://evil.example)":             "Unknown device",
			"Nokia" + text + "/2.0": "Unknown device",
			"Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) " + text + "/1":          "Safari on iPhone",
			"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0 " + text: "Firefox on Linux",
		} {
			if got := names.NameOf(userAgent); got != want {
				t.Errorf("NameOf(%q) = %q, want %q", userAgent, got, want)
			}
		}
	}
}

func BenchmarkNameOf_NewAgent(b *testing.B) {
	names := New()
	names.NameOf("warm up")
	agent := []byte("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36 000000")
	for i := range b.N {
		for at, n := len(agent)-1, i; n > 0; at, n = at-1, n/10 {
			agent[at] = byte('0' + n%10)
		}
		names.NameOf(string(agent))
	}
}

func TestFamilyOf(t *testing.T) {
	names := New()
	for userAgent, want := range map[string]domain.BrowserFamily{
		"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0":                                                                             domain.FamilyFirefox,
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1":            domain.FamilySafari,
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0":                      domain.FamilyEdge,
		"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36":                                    domain.FamilyChrome,
		"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/140.0.0.0 Safari/537.36":                                      domain.FamilyChrome,
		"Mozilla/5.0 (Linux; Android 14; SAMSUNG SM-S911B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/25.0 Chrome/121.0.0.0 Mobile Safari/537.36": domain.FamilySamsung,
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Safari/537.36 OPR/123.0.0.0":                      domain.FamilyChrome,
		"curl/8.5.0":                        domain.FamilyOther,
		"":                                  domain.FamilyOther,
		"\x00\xff<script>alert(1)</script>": domain.FamilyOther,
	} {
		if got := names.FamilyOf(userAgent); got != want {
			t.Errorf("FamilyOf(%q) = %q, want %q", userAgent, got, want)
		}
	}
}
