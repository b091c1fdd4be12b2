package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
)

// project writes the sources of a small page and returns the root of its project.
func project(t *testing.T, sources map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range sources {
		file := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// smallPage returns its sources. They can be changed.
func smallPage() map[string]string {
	return map[string]string{
		"adapters/webui/src/index.html":    `<head><link href="favicon.svg"><link href="app.css"><script src="app.js"></script></head>`,
		"adapters/webui/src/app.js":        "import { greeting } from './text.js';\nconsole.log(greeting);\n",
		"adapters/webui/src/text.js":       "// A comment.\nexport const greeting = 'Hello';\nexport const unused = 'Bye';\n",
		"adapters/webui/src/app.css":       "body {\n  color: black;\n}\n",
		"adapters/webui/src/favicon.svg":   "<svg/>",
		"adapters/webui/kit/keylodge.js":   "export const kit = 1;",
		"adapters/webui/elements/index.js": "export const elements = 1;",
	}
}

func mustBuild(t *testing.T, root string) files {
	t.Helper()
	built, err := build(root)
	if err != nil {
		t.Fatal(err)
	}
	return built
}

// named returns the only file whose path matches the pattern.
func (f files) named(t *testing.T, pattern string) (name string, content []byte) {
	t.Helper()
	for path, bytes := range f {
		if regexp.MustCompile("^" + pattern + "$").MatchString(path) {
			if name != "" {
				t.Fatalf("%s and %s match %s", name, path, pattern)
			}
			name, content = path, bytes
		}
	}
	if name == "" {
		t.Fatalf("none of %v matches %s", slices.Sorted(maps.Keys(f)), pattern)
	}
	return name, content
}

func TestBuild_joinsModules(t *testing.T) {
	_, script := mustBuild(t, project(t, smallPage())).named(t, `assets/app-[A-Z2-7]{8}\.js`)
	if text := string(script); !strings.Contains(text, "Hello") || strings.Contains(text, "Bye") || strings.Contains(text, "comment") || strings.Contains(text, "import") {
		t.Errorf("the script is %s", text)
	}
}

// What two scripts share is loaded beside the first one, and what is imported later is not.
func TestBuild_splitsWhatIsImportedLater(t *testing.T) {
	sources := smallPage()
	sources["adapters/webui/src/app.js"] = "import { greeting } from './text.js';\nconsole.log(greeting);\nimport('./later.js');\n"
	sources["adapters/webui/src/later.js"] = "import { greeting } from './text.js';\nconsole.log('Later', greeting);\n"
	built := mustBuild(t, project(t, sources))
	_, script := built.named(t, `assets/app-[A-Z2-7]{8}\.js`)
	later, content := built.named(t, `assets/later-[A-Z2-7]{8}\.js`)
	shared, _ := built.named(t, `assets/chunk-[A-Z2-7]{8}\.js`)
	if strings.Contains(string(script), "Later") || !strings.Contains(string(script), path.Base(later)) || !strings.Contains(string(content), "Later") {
		t.Errorf("the script is %s, the other one %s", script, content)
	}
	document := string(built["index.html"])
	if !strings.Contains(document, `<link rel="modulepreload" href="/`+shared+`">`) || strings.Contains(document, later) {
		t.Errorf("the document is %s", document)
	}
}

func TestBuild_namesFollowContent(t *testing.T) {
	sources := smallPage()
	first := mustBuild(t, project(t, sources))
	if again := mustBuild(t, project(t, sources)); !maps.EqualFunc(first, again, bytes.Equal) {
		t.Error("the same sources in another folder yield other files")
	}
	sources["adapters/webui/src/text.js"] = "export const greeting = 'Good morning';"
	second := mustBuild(t, project(t, sources))
	for _, file := range []struct {
		pattern string
		changes bool
	}{{`assets/app-.*\.js`, true}, {`assets/app-.*\.css`, false}, {`assets/favicon-.*\.svg`, false}, {`kit/keylodge-.*\.js`, false}} {
		before, _ := first.named(t, file.pattern)
		after, _ := second.named(t, file.pattern)
		if changed := before != after; changed != file.changes {
			t.Errorf("after a change of a module, the name of %s is %s", before, after)
		}
		if document := string(second["index.html"]); !strings.HasPrefix(after, "kit/") && !strings.Contains(document, `="/`+after+`"`) {
			t.Errorf("the document does not refer to %s: %s", after, document)
		}
	}
}

func TestBuild_compressesEveryFile(t *testing.T) {
	built := mustBuild(t, project(t, smallPage()))
	for name, content := range built {
		if slices.Contains([]string{".br", ".gz", ".html"}, filepath.Ext(name)) {
			continue
		}
		unzipped, err := gzip.NewReader(bytes.NewReader(built[name+".gz"]))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for coding, reader := range map[string]io.Reader{"gzip": unzipped, "br": brotli.NewReader(bytes.NewReader(built[name+".br"]))} {
			if got, err := io.ReadAll(reader); err != nil || !bytes.Equal(got, content) {
				t.Errorf("%s in %s has %d bytes of %d, %v", name, coding, len(got), len(content), err)
			}
		}
	}
}

func TestBuild_reportsErrors(t *testing.T) {
	for name, c := range map[string]struct{ file, content, want string }{
		"a syntax error":     {"text.js", "export const greeting = ;", `text.js:1: Unexpected ";"`},
		"a missing export":   {"text.js", "", `Import "greeting" will always be undefined`},
		"no reference":       {"index.html", `<link href="app.css"><link href="favicon.svg">`, "index.html must refer to app.js once"},
		"a wrong style":      {"app.css", "body { color: black", "Expected"},
		"a missing document": {"index.html", "", ""},
	} {
		sources := smallPage()
		sources["adapters/webui/src/"+c.file] = c.content
		if c.content == "" && c.want == "" {
			delete(sources, "adapters/webui/src/"+c.file)
		}
		if _, err := build(project(t, sources)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: the error is %v", name, err)
		}
	}
}

func TestRun_checkFindsDifferences(t *testing.T) {
	root := project(t, smallPage())
	if err := run(root, false); err != nil {
		t.Fatal(err)
	}
	if err := run(root, true); err != nil {
		t.Errorf("directly after a build: %v", err)
	}
	output := filepath.Join(root, "adapters", "webui", "dist")
	for name, content := range map[string]string{"index.html": "changed", "left.js": ""} {
		if err := os.WriteFile(filepath.Join(output, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(filepath.Join(output, "kit", "keylodge.js.br")); err != nil {
		t.Fatal(err)
	}
	err := run(root, true)
	if err == nil {
		t.Fatal("no error")
	}
	if got, want := err.Error(), "index.html is outdated\nleft.js is left over\nkit/keylodge.js.br is missing"; got != want {
		t.Errorf("the error is %q, want %q", got, want)
	}
	if err := run(root, false); err != nil {
		t.Fatal(err)
	}
	if err := run(root, true); err != nil {
		t.Errorf("after another build: %v", err)
	}
}
