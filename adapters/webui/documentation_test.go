package webui_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/gofiber/fiber/v2"

	"github.com/keylodge/keylodge/adapters/webui"
)

func getDocument(t *testing.T, app *fiber.App, path string, headers ...string) (*http.Response, []byte) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	response, err := app.Test(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, body
}

var (
	localLink = regexp.MustCompile(`(?:href|src)="(/docs[^"#]*|)(?:#([^"]*))?"`)
	anchor    = regexp.MustCompile(` id="([^"]+)"`)
)

// Every link of a document leads to a document that is served, and every fragment to a heading of it.
func TestDocumentation_LinksLeadToPages(t *testing.T) {
	app := fiber.New()
	webui.Mount(app, webui.Page{Name: "Keylodge"})
	anchors := map[string]map[string]bool{} // of each visited page
	type link struct{ from, to, fragment string }
	var links []link
	for pending := []string{"/docs"}; len(pending) > 0; pending = pending[1:] {
		path := pending[0]
		if anchors[path] != nil {
			continue
		}
		response, body := getDocument(t, app, path)
		if response.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d", path, response.StatusCode)
		}
		anchors[path] = map[string]bool{"": true}
		for _, match := range anchor.FindAllSubmatch(body, -1) {
			anchors[path][string(match[1])] = true
		}
		for _, match := range localLink.FindAllSubmatch(body, -1) {
			to := string(match[1])
			if to == "" {
				to = path
			}
			links = append(links, link{path, to, string(match[2])})
			pending = append(pending, to)
		}
		for _, forbidden := range []string{"<script", "style=", "raw HTML", ".md\"", "<!-- "} {
			if bytes.Contains(body, []byte(forbidden)) {
				t.Errorf("%s contains %s", path, forbidden)
			}
		}
	}
	for _, l := range links {
		if !anchors[l.to][l.fragment] {
			t.Errorf("%s refers to %s#%s, which is not there", l.from, l.to, l.fragment)
		}
	}
	for _, page := range []string{"/docs/quickstart", "/docs/guides/kit", "/docs/reference/api", "/docs/operations/install", "/docs/runbooks", "/docs/security/threat-model"} {
		if anchors[page] == nil {
			t.Errorf("no path leads to %s", page)
		}
	}
	if anchors["/docs/development"] != nil {
		t.Error("the documents for contributors are served")
	}
}

// The reference has each operation of the API.
func TestDocumentation_HasEveryOperation(t *testing.T) {
	app := fiber.New()
	webui.Mount(app, webui.Page{Name: "Keylodge"})
	_, body := getDocument(t, app, "/docs/reference/api")
	description, err := os.ReadFile("../httpapi/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	operations := regexp.MustCompile(`(?m)^      summary: (.+)$`).FindAllSubmatch(description, -1)
	if len(operations) < 30 {
		t.Fatalf("found %d operations", len(operations))
	}
	for _, operation := range operations {
		if title := strings.Trim(string(operation[1]), `'"`); !strings.Contains(string(body), ">"+title+"</h") {
			t.Errorf("no heading %q", title)
		}
	}
}

func TestDocumentation_Forms(t *testing.T) {
	app := fiber.New()
	webui.Mount(app, webui.Page{Name: "Keylodge"})
	for path, contentType := range map[string]string{"/docs": "text/html; charset=utf-8", "/docs/guides/kit": "text/html; charset=utf-8", "/docs/docs.css": "text/css; charset=utf-8"} {
		plain, want := getDocument(t, app, path, "Accept-Encoding", "identity")
		packed, member := getDocument(t, app, path, "Accept-Encoding", "br, gzip")
		if plain.Header.Get("Content-Encoding") != "" || packed.Header.Get("Content-Encoding") != "gzip" || plain.Header.Get("ETag") == packed.Header.Get("ETag") {
			t.Errorf("%s: %v and %v", path, plain.Header, packed.Header)
		}
		r, err := gzip.NewReader(bytes.NewReader(member))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, want) || len(member) >= len(want) {
			t.Errorf("%s: %v, %d bytes, want %d", path, err, len(got), len(want))
		}
		for _, response := range []*http.Response{plain, packed} {
			h := response.Header
			if response.StatusCode != 200 || h.Get("Content-Type") != contentType || h.Get("Cache-Control") != "no-cache" || h.Get("Vary") != "Accept-Encoding" ||
				!strings.Contains(h.Get("Content-Security-Policy"), "default-src 'none'") || h.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%s: %d %v", path, response.StatusCode, h)
			}
		}
		if again, body := getDocument(t, app, path, "Accept-Encoding", "gzip", "If-None-Match", packed.Header.Get("ETag")); again.StatusCode != 304 || len(body) > 0 {
			t.Errorf("%s again: %d, %d bytes", path, again.StatusCode, len(body))
		}
	}
	if response, _ := getDocument(t, app, "/docs/none"); response.StatusCode != http.StatusNotFound {
		t.Errorf("/docs/none: %d", response.StatusCode)
	}
}
