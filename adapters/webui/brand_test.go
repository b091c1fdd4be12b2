package webui

import (
	"fmt"
	"io"
	"maps"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/gofiber/fiber/v2"
)

func color(t *testing.T, s string) Color {
	t.Helper()
	c, err := ParseColor(s)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestParseColor(t *testing.T) {
	if got := color(t, "#0A5fB4").String(); got != "#0a5fb4" {
		t.Errorf("got %s", got)
	}
	for _, s := range []string{"", "#", "#fff", "0a5fb4", "#0a5fb", "#0a5fb4f", "#0a5fg4", "red", "#+a5fb4", "#-a5fb4", "#0x5fb4", "#0_5fb4"} {
		if got, err := ParseColor(s); err == nil {
			t.Errorf("%q: %s", s, got)
		}
	}
}

// The ratios are those that WCAG's definition gives for these pairs.
func TestContrast(t *testing.T) {
	for pair, want := range map[[2]string]string{
		{"#000000", "#ffffff"}: "21.00", {"#ffffff", "#ffffff"}: "1.00", {"#777777", "#ffffff"}: "4.48", {"#ffffff", "#767676"}: "4.54", {"#ff0000", "#ffffff"}: "4.00",
	} {
		if got := fmt.Sprintf("%.2f", contrast(color(t, pair[0]), color(t, pair[1]))); got != want {
			t.Errorf("%s: %s, want %s", pair, got, want)
		}
	}
}

func TestScheme_CheckSuggestsReadableColor(t *testing.T) {
	for _, scheme := range []Scheme{LightScheme, DarkScheme} {
		for _, s := range []string{"#000000", "#ffffff", "#ff0000", "#ffd184", "#1b2740", "#00ff00", "#0000ff", "#777777", "#757575"} {
			c := color(t, s)
			enough, err := scheme.Check(c)
			if readable := contrast(c, scheme.background) >= 4.5; readable != (err == nil) || readable && enough != c {
				t.Errorf("%s in the %s mode: %s, %v", s, scheme.name, enough, err)
			}
			if contrast(enough, scheme.background) < 4.5 || contrast(enough, scheme.text) < 4.5 {
				t.Errorf("%s is suggested for %s in the %s mode", enough, s, scheme.name)
			}
			if err != nil && (!strings.Contains(err.Error(), s) || !regexp.MustCompile(`contrast of [1-4]\.\d\d:1 `).MatchString(err.Error())) {
				t.Errorf("got %v", err)
			}
		}
	}
}

// The backgrounds, and the names of the properties, are those of the style sheet of the elements.
func TestAccent_MatchesStylesheet(t *testing.T) {
	text, err := os.ReadFile("elements/elements.css")
	if err != nil {
		t.Fatal(err)
	}
	light, dark, found := strings.Cut(string(text), "prefers-color-scheme: dark")
	if !found || !strings.Contains(light, "background, "+lightPaper.String()) || !strings.Contains(dark, "field, "+darkField.String()) || !strings.Contains(dark, "background, "+darkInk.String()) {
		t.Errorf("the backgrounds are not %s, %s and %s", lightPaper, darkField, darkInk)
	}
	accent := NewAccent(color(t, "#0a5fb4"))
	if _, err := DarkScheme.Check(accent.Dark); err != nil {
		t.Error(err)
	}
	properties := regexp.MustCompile(`(--[a-z-]+): (#[0-9a-f]{6});`).FindAllStringSubmatch(accent.stylesheet(), -1)
	if len(properties) != 8 || properties[0][2] != "#0a5fb4" || properties[4][2] != accent.Dark.String() {
		t.Errorf("got %s", accent.stylesheet())
	}
	for _, property := range properties {
		if !strings.Contains(light, "var("+property[1]+", ") || !strings.Contains(dark, "var("+property[1]+", ") {
			t.Errorf("the style sheet of the elements has no %s", property[1])
		}
	}
}

const script = `<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`

func TestReadBrandFiles(t *testing.T) {
	valid := fstest.MapFS{
		"logo.svg": {Data: []byte(script)}, "favicon.png": {Data: []byte("\x89PNG\r\n\x1a\n…")}, ".DS_Store": {Data: []byte("x")},
	}
	files, err := ReadBrandFiles(valid)
	if err != nil || !slices.Equal(slices.Sorted(maps.Keys(files)), []string{"favicon.png", "logo.svg"}) {
		t.Fatalf("%v, %v", files, err)
	}
	for name, c := range map[string]struct{ file, content, want string }{
		"unknown name":     {"logo.gif", "GIF89a", "none of background.jpg"},
		"folder":           {"icons/logo.svg", script, "icons is none of"},
		"too large":        {"background.svg", script + strings.Repeat(" ", 1<<20), "more than 1048576"},
		"HTML as SVG":      {"background.svg", "<html></html>", "not of the type image/svg+xml"},
		"other type":       {"background.jpg", "\x89PNG\r\n\x1a\n", "not of the type image/jpeg"},
		"signature later":  {"favicon.ico", "x\x00\x00\x01\x00", "not of the type image/x-icon"},
		"empty":            {"background.png", "", "not of the type"},
		"the same purpose": {"favicon.svg", script, "favicon.png and favicon.svg have the same purpose"},
	} {
		folder := maps.Clone(valid)
		folder[c.file] = &fstest.MapFile{Data: []byte(c.content)}
		if _, err := ReadBrandFiles(folder); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBrand_ServesFiles(t *testing.T) {
	brand := NewBrand(NewAccent(color(t, "#0a5fb4")), map[string][]byte{"logo.svg": []byte(script), "favicon.ico": []byte("\x00\x00\x01\x00")})
	app := fiber.New()
	brand.mount(app)
	urls := brand.URLs()
	if keys := slices.Sorted(maps.Keys(urls)); !slices.Equal(keys, []string{"favicon", "logo", "theme"}) {
		t.Fatalf("got %q", urls)
	}
	for url, want := range map[string][2]string{
		"/brand/logo.svg":  {"image/svg+xml", "no-cache"},
		urls["logo"]:       {"image/svg+xml", "public, max-age=31536000, immutable"},
		urls["favicon"]:    {"image/x-icon", "public, max-age=31536000, immutable"},
		"/brand/theme.css": {"text/css; charset=utf-8", "no-cache"},
		urls["theme"]:      {"text/css; charset=utf-8", "public, max-age=31536000, immutable"},
	} {
		response, err := app.Test(httptest.NewRequest("GET", url, nil))
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		policy := response.Header.Get("Content-Security-Policy")
		if response.StatusCode != 200 || response.Header.Get("Content-Type") != want[0] || response.Header.Get("Cache-Control") != want[1] || len(body) == 0 ||
			!strings.Contains(policy, "default-src 'none'") || !strings.HasSuffix(policy, "; sandbox") || strings.Contains(policy, "script") ||
			response.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %d %v %q", url, response.StatusCode, response.Header, body)
		}
		again := httptest.NewRequest("GET", url, nil)
		again.Header.Set("If-None-Match", response.Header.Get("ETag"))
		if unchanged, err := app.Test(again); err != nil || unchanged.StatusCode != 304 {
			t.Errorf("%s again: %v, %v", url, unchanged, err)
		}
	}
	if other := NewBrand(Accent{}, map[string][]byte{"logo.svg": []byte(script + "\n")}).URLs(); other["logo"] == urls["logo"] || len(other) != 1 {
		t.Errorf("other content has the same path: %q", other)
	}
}
