package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRender(t *testing.T) {
	sources := map[string][]byte{"README.md": nil, "guides/kit.md": nil, "runbooks/README.md": nil}
	title, body, err := render("guides/a.md", []byte("# A `title`\n\n<!-- test: skip -->\n\n[kit](kit.md#errors), [map](../README.md), [runbooks](../runbooks/README.md), "+
		"[self](#errors-1), [site](https://example.org/a.md), [code](../../domain/event.go), [decision](../decisions/0001.md) <b>bold</b>\n\n## Errors\n\n## Errors\n"), sources)
	if err != nil || title != "A title" {
		t.Errorf("%q, %v", title, err)
	}
	for _, want := range []string{
		`<a href="/docs/guides/kit#errors">kit</a>, <a href="/docs">map</a>, <a href="/docs/runbooks">runbooks</a>, <a href="#errors-1">self</a>`,
		`<a href="https://example.org/a.md">site</a>, code, decision bold</p>`,
		`<h2 id="errors">Errors</h2>`, `<h2 id="errors-1">Errors</h2>`,
	} {
		if !strings.Contains(string(body), want) {
			t.Errorf("got %s, want %s", body, want)
		}
	}
	for _, forbidden := range []string{"<!--", "<b>", "decisions"} {
		if strings.Contains(string(body), forbidden) {
			t.Errorf("got %s with %s", body, forbidden)
		}
	}
	if _, _, err := render("a.md", []byte("no title"), sources); err == nil {
		t.Error("a page without a title is accepted")
	}
}

func TestRead_MakesPagesOfExamples(t *testing.T) {
	folder := t.TempDir()
	for name, text := range map[string]string{
		"a.md": "# A\n", "a.png": "image", "decisions/0001.md": "# No\n",
		"guides/examples/README.md": "# Examples\n\n[source](page/page.js)\n", "guides/examples/page/page.js": "const a = `<b>`;\n",
	} {
		file := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	sources, err := read(folder)
	if err != nil || len(sources) != 3 {
		t.Fatalf("%q, %v", sources, err)
	}
	_, body, err := render("guides/examples/README.md", sources["guides/examples/README.md"], sources)
	if want := `<a href="/docs/guides/examples/page/page.js">source</a>`; err != nil || !strings.Contains(string(body), want) {
		t.Errorf("got %s, %v, want %s", body, err, want)
	}
	title, body, err := render("guides/examples/page/page.js", sources["guides/examples/page/page.js"], sources)
	if want := "const a = `&lt;b&gt;`;\n</code>"; err != nil || title != "page/page.js" || !strings.Contains(string(body), want) {
		t.Errorf("got %s: %s, %v, want %s", title, body, err, want)
	}
}

func TestBuild_IsReproducible(t *testing.T) {
	sources := map[string][]byte{"README.md": []byte("# Map\n"), "a.md": []byte("# A\n"), "b.md": []byte("# B\n"), "guides/c.md": []byte("# C\n")}
	first, err := build(sources, nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if again, err := build(sources, nil); err != nil || !bytes.Equal(first, again) {
			t.Fatalf("%v, the same: %t", err, bytes.Equal(first, again))
		}
	}
}
