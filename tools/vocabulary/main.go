// Command vocabulary looks for denied words in the project's text: Go, SQL, JavaScript, HTML, style sheets, the English texts,
// Markdown, OpenAPI, Makefile and scripts. It prints each place with the advice, and exits with 1 if there is one.
//
// Usage: vocabulary FOLDER
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
	source  string // the pattern as it is in the list
	pattern *regexp.Regexp
	text    string // the advice, or the reason
	used    bool
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: vocabulary FOLDER")
		os.Exit(2)
	}
	found, err := run(os.Args[1], deniedList, allowedList)
	if err != nil {
		fmt.Fprintln(os.Stderr, "vocabulary:", err)
		os.Exit(2)
	}
	for _, line := range found {
		fmt.Println(line)
	}
	if len(found) > 0 {
		fmt.Fprintf(os.Stderr, "vocabulary: %d errors\n", len(found))
		os.Exit(1)
	}
}

// run returns a line for each denied word, and for each exception that no text needs.
func run(root, deniedList, allowedList string) (found []string, err error) {
	denied, err := parse(deniedList)
	if err != nil {
		return nil, err
	}
	allowed, err := parse(allowedList)
	if err != nil {
		return nil, err
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
		if !isText(name) {
			return nil
		}
		more, err := searchFile(path, name, denied, allowed)
		found = append(found, more...)
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, a := range allowed {
		if !a.used {
			found = append(found, fmt.Sprintf("tools/vocabulary/allowed.txt: no text needs %q", a.source))
		}
	}
	return found, nil
}

// skippedFolders contain no text of the project, but data of others, build output, and the lists themselves.
var skippedFolders = []string{".git", "bin", "dist", "node_modules", "testdata", "vocabulary"}

// isText reports whether a file contains text that people write. Generated text follows its sources.
func isText(name string) bool {
	switch name {
	case "LICENSE", "adapters/httpapi/openapi.json", "bootstrap/wire_gen.go":
		return false
	}
	if strings.HasSuffix(name, ".sql.go") {
		return false
	}
	if name == "locales/en.json" {
		return true
	}
	switch filepath.Ext(name) {
	case ".go", ".sql", ".js", ".mjs", ".html", ".css", ".tmpl", ".txt", ".md", ".yaml", ".yml", ".example", ".service", ".sh":
		return true
	}
	return filepath.Base(name) == "Makefile" || strings.HasPrefix(name, ".ci/") || strings.HasPrefix(name, ".githooks/")
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
		rules = append(rules, &rule{path: path, source: pattern, pattern: compiled, text: text})
	}
	return rules, nil
}

func searchFile(path, name string, denied, allowed []*rule) (found []string, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<22)
	for number := 1; lines.Scan(); number++ {
		text := words(lines.Text())
		for _, d := range denied {
			if d.pattern.MatchString(text) { // the exceptions are searched only if a word is denied
				text = withoutAllowed(text, name, allowed)
			}
			if match := d.pattern.FindString(text); match != "" {
				found = append(found, fmt.Sprintf("%s:%d: %q: %s", name, number, match, d.text))
			}
		}
	}
	return found, lines.Err()
}

// withoutAllowed replaces what the exceptions cover by spaces.
func withoutAllowed(text, name string, allowed []*rule) string {
	for _, a := range allowed {
		covered := a.path == "" || name == a.path || strings.HasPrefix(name, a.path+"/")
		if covered && a.pattern.MatchString(text) {
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
