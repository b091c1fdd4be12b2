// Command vocabulary looks for denied words in the project's text: Go, SQL, JavaScript, HTML, style sheets, templates,
// Markdown, OpenAPI, Makefile and scripts. It prints each place with the advice, and exits with 1 if there is one.
//
// Usage: vocabulary FOLDER [PATH…], where PATH limits the search to files below it.
package main

import (
	"bufio"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

//go:embed denied.txt
var deniedList string

//go:embed allowed.txt
var allowedList string

// rule is a line of one of the lists.
type rule struct {
	path    string // the file or folder that it is limited to, or ""
	pattern *regexp.Regexp
	text    string // the advice, or the reason
	used    bool
}

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: vocabulary FOLDER [PATH…]")
		os.Exit(2)
	}
	found, err := run(os.Args[1], os.Args[2:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "vocabulary:", err)
		os.Exit(2)
	}
	if found > 0 {
		fmt.Fprintf(os.Stderr, "vocabulary: %d denied words\n", found)
		os.Exit(1)
	}
}

func run(root string, below []string) (found int, err error) {
	denied, err := parse(deniedList)
	if err != nil {
		return 0, err
	}
	allowed, err := parse(allowedList)
	if err != nil {
		return 0, err
	}
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		if entry.IsDir() {
			if slices.Contains(skippedFolders, entry.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		if !isText(name) || !isBelow(name, below) {
			return nil
		}
		n, err := searchFile(path, name, denied, allowed)
		found += n
		return err
	})
	if err == nil && len(below) == 0 {
		for _, a := range allowed {
			if !a.used {
				fmt.Printf("tools/vocabulary/allowed.txt: no text needs %q\n", a.pattern)
				found++
			}
		}
	}
	return found, err
}

// skippedFolders hold no text of the project: data that others wrote, and what is built.
var skippedFolders = []string{".git", "bin", "testdata", "vocabulary"}

// isText tells whether a file holds text that people write; what is generated follows its sources.
func isText(name string) bool {
	switch name {
	case "LICENSE", "adapters/httpapi/openapi.json", "bootstrap/wire_gen.go":
		return false
	}
	if strings.HasSuffix(name, ".sql.go") {
		return false
	}
	switch filepath.Ext(name) {
	case ".go", ".sql", ".js", ".mjs", ".html", ".css", ".tmpl", ".txt", ".md", ".yaml", ".yml", ".example", ".service", ".sh":
		return true
	}
	return filepath.Base(name) == "Makefile" || strings.HasPrefix(name, ".ci/") || strings.HasPrefix(name, ".githooks/")
}

func isBelow(name string, below []string) bool {
	return len(below) == 0 || slices.ContainsFunc(below, func(b string) bool {
		b = strings.TrimSuffix(b, "/")
		return name == b || strings.HasPrefix(name, b+"/")
	})
}

// parse reads the lines of a list. A pattern matches whole words.
func parse(list string) (rules []*rule, err error) {
	for line := range strings.Lines(list) {
		line = strings.TrimRight(line, "\n")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		pattern, text, ok := strings.Cut(line, "\t")
		if !ok || text == "" {
			return nil, fmt.Errorf("%q has no advice or reason: put one after a tab", line)
		}
		path := ""
		if before, after, ok := strings.Cut(pattern, ": "); ok {
			path, pattern = before, after
		}
		compiled, err := regexp.Compile(`(?i)\b(?:` + pattern + `)\b`)
		if err != nil {
			return nil, err
		}
		rules = append(rules, &rule{path: path, pattern: compiled, text: text})
	}
	return rules, nil
}

func searchFile(path, name string, denied, allowed []*rule) (found int, err error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<22)
	for number := 1; lines.Scan(); number++ {
		text := words(lines.Text())
		for _, d := range denied {
			if d.pattern.MatchString(text) {
				// Only a line with a denied word pays for a look at the exceptions.
				text = withoutAllowed(text, name, allowed)
			}
			if match := d.pattern.FindString(text); match != "" {
				fmt.Printf("%s:%d: %q: %s\n", name, number, match, d.text)
				found++
			}
		}
	}
	return found, lines.Err()
}

// withoutAllowed blanks what an exception covers.
func withoutAllowed(text, name string, allowed []*rule) string {
	for _, a := range allowed {
		if a.path != "" && !isBelow(name, []string{a.path}) {
			continue
		}
		if a.pattern.MatchString(text) {
			a.used = true
			text = a.pattern.ReplaceAllString(text, " ")
		}
	}
	return text
}

var (
	humps       = regexp.MustCompile(`([a-z0-9])([A-Z])`)
	underscores = strings.NewReplacer("_", " ", "’", "'")
)

// words splits the identifiers of a line into their words.
func words(line string) string { return humps.ReplaceAllString(underscores.Replace(line), "$1 $2") }
