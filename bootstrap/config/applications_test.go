package config

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
)

func TestLoad_Applications(t *testing.T) {
	config, err := load(t, "PUBLIC_URL=https://id.example.org", "RP_ID=example.org", "ORIGINS=https://app.example.org", "APP_ORIGINS=tauri://localhost,http://localhost:3000",
		"APPLICATIONS=https://app.example.org=Example App, https://shop.example.net:8443=Shop=1,,http://localhost:3000=Local,http://127.0.0.1:5173=Loopback,http://127.0.0.1=Port 80")
	if err != nil {
		t.Fatal(err)
	}
	want := domain.Applications{{Origin: "https://app.example.org", Name: "Example App"}, {Origin: "https://shop.example.net:8443", Name: "Shop=1"}, {Origin: "http://localhost:3000", Name: "Local"},
		{Origin: "http://127.0.0.1:5173", Name: "Loopback"}, {Origin: "http://127.0.0.1", Name: "Port 80"}}
	if !reflect.DeepEqual(config.Applications, want) {
		t.Errorf("got %+v, want %+v", config.Applications, want)
	}
	// Pages of applications on other sites call the API with tokens; that on this site has cookies.
	if got := config.TokenOrigins(); !slices.Equal(got, []string{"tauri://localhost", "http://localhost:3000", "https://shop.example.net:8443", "http://127.0.0.1:5173", "http://127.0.0.1"}) {
		t.Errorf("origins with tokens: %v", got)
	}
}

func TestLoad_RejectsInvalidApplications(t *testing.T) {
	for value, problem := range map[string]string{
		"https://app.example.net":                                "has no name",
		"https://app.example.net=":                               "has no name",
		"https://app.example.net=" + strings.Repeat("x", 65):     "at most 64 bytes",
		"https://app.example.net=a\u202eb":                       "visible characters",
		"https://app.example.net/=App":                           "browsers write this origin differently",
		"https://app.example.net/callback=App":                   "browsers write this origin differently",
		"https://App.example.net=App":                            "browsers write this origin differently",
		"https://app.example.net:443=App":                        "browsers write this origin differently",
		"https://*.example.net=App":                              "no wildcard",
		"http://app.example.net=App":                             "localhost only",
		"app.example.net=App":                                    "not a web URL",
		"tauri://localhost=App":                                  "the scheme is",
		"https://127.0.0.1=App":                                  "IP address",
		"http://127.0.0.2=App":                                   "IP address",
		"http://127.0.0.1.example.net=App":                       "localhost only",
		"http://127.0.0.1@example.net=App":                       "localhost only",
		"http://127.0.0.1:80=App":                                "browsers write this origin differently",
		"http://127.0.0.1:65536=App":                             "is not a port",
		"http://127.0.0.1:1@example.net=App":                     "localhost only",
		"https://id.example.org=Myself":                          "the origin of this server",
		"https://app.example.net=App,https://app.example.net=B":  "a duplicate",
		"https://app.example.net=App;":                           "the attribute \"\" is unknown",
		"https://app.example.net=App;x":                          "the attribute \"x\" is unknown",
		"https://app.example.net=App;forward_auth=1":             "is unknown",
		"https://app.example.net=App;forward_auth;max_age":       "not a duration",
		"https://app.example.net=App;forward_auth;max_age=1":     "not a duration",
		"https://app.example.net=App;forward_auth;max_age=59s":   "at least one minute",
		"https://app.example.net=App;forward_auth;max_age=-1h":   "at least one minute",
		"https://app.example.net=App;forward_auth;max_age=60.5s": "in seconds",
		"https://app.example.net=App;max_age=1h":                 "max_age without forward_auth",
		"https://app.example.net=App;forward_auth":               "forward_auth without a trusted proxy",
		"https://ada:secret@app.example.net=App":                 "browsers write this origin differently",
	} {
		_, err := load(t, "PUBLIC_URL=https://id.example.org", "APPLICATIONS="+value)
		if err == nil || !strings.Contains(err.Error(), "KEYLODGE_APPLICATIONS") || !strings.Contains(err.Error(), problem) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: got %v, want %q", value, err, problem)
		}
	}
}

func TestLoad_ApplicationsWithForwardAuth(t *testing.T) {
	config, err := load(t, "PUBLIC_URL=https://id.example.org", "TRUSTED_PROXIES=10.0.0.7",
		"APPLICATIONS=https://wiki.example.org=Wiki;forward_auth,https://admin.example.net=Admin; max_age=8h ;forward_auth")
	if err != nil {
		t.Fatal(err)
	}
	want := domain.Applications{{Origin: "https://wiki.example.org", Name: "Wiki", ForwardAuth: true}, {Origin: "https://admin.example.net", Name: "Admin", ForwardAuth: true, MaxAge: 8 * time.Hour}}
	if !reflect.DeepEqual(config.Applications, want) {
		t.Errorf("got %+v, want %+v", config.Applications, want)
	}
}
