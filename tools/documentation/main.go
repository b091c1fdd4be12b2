// Command documentation renders the documents for users of the program as HTML, for package webui, which serves them below /docs:
// those of docs without development, decisions and performance. It writes adapters/webui/documentation.zip, the same bytes for the
// same documents. The sources of the examples are pages, too. A link to a page that is not among them becomes text.
//
// Usage: documentation [-check] FOLDER
//
// FOLDER is the root of the project. With -check, it writes nothing, and exits with 1 if the file is outdated.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"html"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/zip"
)

const (
	documents  = "docs"
	stylesheet = "tools/documentation/docs.css"
	output     = "adapters/webui/documentation.zip"
)

// forContributors are the folders and pages of docs that are not for users of the program.
var forContributors = []string{"decisions", "development", "performance", "stories.md"}

func main() {
	check := flag.Bool("check", false, "compare the file with the documents, and write nothing")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: documentation [-check] FOLDER")
		os.Exit(2)
	}
	if err := run(flag.Arg(0), *check); err != nil {
		fmt.Fprintln(os.Stderr, "documentation:", err)
		os.Exit(1)
	}
}

func run(root string, check bool) error {
	sources, err := read(filepath.Join(root, documents))
	if err != nil {
		return err
	}
	style, err := os.ReadFile(filepath.Join(root, stylesheet))
	if err != nil {
		return err
	}
	archive, err := build(sources, style)
	if err != nil {
		return err
	}
	file := filepath.Join(root, output)
	if !check {
		return os.WriteFile(file, archive, 0o600)
	}
	existing, err := os.ReadFile(file)
	if err == nil && !bytes.Equal(existing, archive) {
		err = errors.New(output + " is outdated")
	}
	return err
}

// examples is the folder of the programs that the documents explain.
const examples = "guides/examples/"

// read returns the documents by their path below the folder. Each source of the examples is one.
func read(folder string) (map[string][]byte, error) {
	sources := map[string][]byte{}
	err := fs.WalkDir(os.DirFS(folder), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case slices.Contains(forContributors, name) && entry.IsDir():
			return fs.SkipDir
		case slices.Contains(forContributors, name) || entry.IsDir():
			return nil
		}
		text, err := os.ReadFile(filepath.Join(folder, name))
		switch {
		case path.Ext(name) == ".md":
			sources[name] = text
		case strings.HasPrefix(name, examples):
			sources[name] = sourcePage(strings.TrimPrefix(name, examples), text)
		}
		return err
	})
	return sources, err
}

// sourcePage returns a document with a source.
func sourcePage(name string, text []byte) []byte {
	return fmt.Appendf(nil, "# %s\n\n~~~~%s\n%s~~~~\n", name, strings.TrimPrefix(path.Ext(name), "."), text)
}

// build returns the archive. Its entries have the paths of their URLs, without the first slash.
func build(sources map[string][]byte, style []byte) ([]byte, error) {
	entries := map[string][]byte{"docs/docs.css": style}
	titles := map[string]string{}
	for name, source := range sources {
		title, body, err := render(name, source, sources)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		titles[name], entries[strings.TrimPrefix(urlOf(name), "/")] = title, body
	}
	for name := range sources {
		entry := strings.TrimPrefix(urlOf(name), "/")
		entries[entry] = document(name, titles, entries[entry])
	}
	return pack(entries)
}

// urlOf returns the path at which the server serves a document: /docs for the README, /docs/guides/kit for guides/kit.md.
func urlOf(name string) string {
	name = strings.TrimSuffix(strings.TrimSuffix(name, ".md"), "README")
	return strings.TrimSuffix("/docs/"+name, "/")
}

// document returns the page with its navigation.
func document(name string, titles map[string]string, body []byte) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>%s – Keylodge</title>
<link rel="stylesheet" href="/docs/docs.css">
<header><a href="/docs">Documentation</a> of <a href="/">Keylodge</a></header>
`, html.EscapeString(titles[name]))
	if folder := path.Dir(name); folder != "." {
		fmt.Fprintf(&b, "<nav aria-label=\"%s\">\n<ul>\n", html.EscapeString(folder))
		for _, sibling := range siblings(folder, titles) {
			current := ""
			if sibling == name {
				current = ` aria-current="page"`
			}
			fmt.Fprintf(&b, "<li><a href=\"%s\"%s>%s</a></li>\n", urlOf(sibling), current, html.EscapeString(titles[sibling]))
		}
		b.WriteString("</ul>\n</nav>\n")
	}
	fmt.Fprintf(&b, "<main>\n%s</main>\n</html>\n", body)
	return b.Bytes()
}

func siblings(folder string, titles map[string]string) (names []string) {
	for name := range titles {
		if path.Dir(name) == folder {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int { return strings.Compare(strings.ToLower(titles[a]), strings.ToLower(titles[b])) })
	return names
}

func pack(entries map[string][]byte) ([]byte, error) {
	var archive bytes.Buffer
	w := zip.NewWriter(&archive)
	w.RegisterCompressor(zip.Deflate, newDeflater)
	names := make([]string, 0, len(entries))
	for name := range entries {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		entry, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)})
		if err != nil {
			return nil, err
		}
		if _, err := entry.Write(entries[name]); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return archive.Bytes(), err
}
