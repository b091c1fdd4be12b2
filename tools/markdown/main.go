// Command markdown checks the Markdown files of the project, and what refers to them. It prints each error with its place, and exits with 1 if there is one:
//
//   - a file begins with its only heading of level 1, and no level is skipped
//   - a line of prose has at most 100 characters
//   - a code block has a fence with a language
//   - a relative link leads to an existing file, and its fragment to a heading of that file
//   - a path in a code span, such as `domain/event.go`, exists
//
// In all other files, a path of a page, such as docs/stories.md, must exist.
//
// Usage: markdown FOLDER
package main

import (
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

const maxLine = 100

// skippedFolders hold no documents of the project.
var skippedFolders = []string{".git", "bin", "testdata"}

// withoutTitle are the files that another page includes.
var withoutTitle = []string{".github/PULL_REQUEST_TEMPLATE.md"}

var (
	heading  = regexp.MustCompile(`^(#{1,6}) +(.+?) *#*$`)
	fence    = regexp.MustCompile("^ *(```+|~~~+) *(.*)$")
	listItem = regexp.MustCompile(`^ *([-*+]|\d+[.)]) `)
	codeSpan = regexp.MustCompile("`+[^`]+`+")
	link     = regexp.MustCompile(`\]\(<?([^)\s>]+)>?(?: "[^"]*")?\)`)
	linkText = regexp.MustCompile(`!?\[([^\]]*)\]\([^)]*\)`)
	linkDef  = regexp.MustCompile(`^ *\[[^\]]+\]: +<?(\S+?)>?$`)
	// anchor is a target that HTML defines.
	anchor = regexp.MustCompile(`<a (?:id|name)="([^"]+)"`)
	// projectPath is a path below a folder of the project. One with a placeholder, such as NAME, * or …, does not match.
	projectPath = regexp.MustCompile(`^(acceptance|adapters|application|bootstrap|db|docs|domain|migrations|ports|tools|\.ci|\.githooks|\.github)/[a-z0-9_./-]*$`)
	// pagePath is the path of a page in any text.
	pagePath = regexp.MustCompile(`\bdocs/[a-z0-9_/-]+\.md\b`)
)

// document is a Markdown file, without its code blocks.
type document struct {
	name    string // its path below the folder of the project
	lines   []line
	anchors map[string]bool
}

type line struct {
	number int
	text   string
}

type checker struct {
	root      string
	documents map[string]*document
	errors    int
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: markdown FOLDER")
		os.Exit(2)
	}
	c := &checker{root: os.Args[1], documents: map[string]*document{}}
	if err := filepath.WalkDir(c.root, c.read); err != nil {
		fmt.Fprintln(os.Stderr, "markdown:", err)
		os.Exit(2)
	}
	for _, d := range c.documents {
		c.checkReferences(d)
	}
	if c.errors > 0 {
		fmt.Fprintf(os.Stderr, "markdown: %d errors\n", c.errors)
		os.Exit(1)
	}
}

func (c *checker) report(d *document, number int, format string, arguments ...any) {
	c.errors++
	fmt.Printf("%s:%d: %s\n", d.name, number, fmt.Sprintf(format, arguments...))
}

// read checks the paths of pages in a file; it parses a Markdown file and checks its form.
func (c *checker) read(file string, entry fs.DirEntry, err error) error {
	if err != nil {
		return err
	}
	if entry.IsDir() {
		if slices.Contains(skippedFolders, entry.Name()) {
			return fs.SkipDir
		}
		return nil
	}
	if !entry.Type().IsRegular() {
		return nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	name, err := filepath.Rel(c.root, file)
	if err != nil {
		return err
	}
	d := &document{name: filepath.ToSlash(name), anchors: map[string]bool{}}
	lines := strings.Split(string(text), "\n")
	for i, text := range lines {
		for _, page := range pagePath.FindAllString(text, -1) {
			if !c.exists(page) {
				c.report(d, i+1, "%s does not exist", page)
			}
		}
	}
	if filepath.Ext(file) == ".md" {
		c.documents[d.name] = d
		c.checkForm(d, lines)
	}
	return nil
}

func (c *checker) checkForm(d *document, lines []string) {
	closing := ""      // the fence that ends the current code block
	level := 0         // of the latest heading
	afterBlank := true // the line before was empty
	inList := false    // an indented line continues a list item
	slugs := map[string]int{}
	included := slices.Contains(withoutTitle, d.name)
	for i, text := range lines {
		number := i + 1
		if f := fence.FindStringSubmatch(text); f != nil {
			switch {
			case closing == "":
				closing = f[1]
				if f[2] == "" {
					c.report(d, number, "the code block has no language: write one after the fence (text, if there is none)")
				}
			case strings.HasPrefix(f[1], closing) && f[2] == "":
				closing = ""
			}
			continue
		}
		if closing != "" {
			continue
		}
		trimmed := strings.TrimSpace(text)
		switch {
		case listItem.MatchString(text):
			inList = true
		case trimmed != "" && !strings.HasPrefix(text, " "):
			inList = false
		case trimmed != "" && afterBlank && !inList && strings.HasPrefix(text, "    "):
			c.report(d, number, "an indented code block: use a fence with a language")
			continue
		}
		afterBlank = trimmed == ""
		d.lines = append(d.lines, line{number, text})
		for _, a := range anchor.FindAllStringSubmatch(text, -1) {
			d.anchors[a[1]] = true
		}
		if h := heading.FindStringSubmatch(text); h != nil {
			switch depth := len(h[1]); {
			case depth == 1 && level > 0:
				c.report(d, number, "a second heading of level 1")
			case level == 0 && !included && (depth > 1 || number > 1):
				c.report(d, number, "the first line must be the heading of level 1")
				level = depth
			case level > 0 && depth > level+1:
				c.report(d, number, "the heading skips a level")
				fallthrough
			default:
				level = depth
			}
			slug := slugOf(h[2])
			if n := slugs[slug]; n > 0 {
				d.anchors[fmt.Sprintf("%s-%d", slug, n)] = true
			} else {
				d.anchors[slug] = true
			}
			slugs[slug]++
			continue
		}
		if utf8.RuneCountInString(text) > maxLine && !strings.HasPrefix(trimmed, "|") && strings.Contains(trimmed, " ") {
			c.report(d, number, "%d characters; at most %d are allowed", utf8.RuneCountInString(text), maxLine)
		}
	}
	if closing != "" {
		c.report(d, len(lines), "the last code block does not end")
	}
	if level == 0 && !included {
		c.report(d, 1, "the file has no heading of level 1")
	}
}

// slugOf returns the fragment that GitHub gives to a heading.
func slugOf(title string) string {
	title = linkText.ReplaceAllString(title, "$1")
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || unicode.In(r, unicode.L, unicode.N):
			return unicode.ToLower(r)
		}
		return -1
	}, strings.TrimSpace(title))
}

// checkReferences checks the links and the paths of a document.
func (c *checker) checkReferences(d *document) {
	for _, l := range d.lines {
		for _, span := range codeSpan.FindAllString(l.text, -1) {
			if p := strings.Trim(span, "`"); p != "application/json" && projectPath.MatchString(p) && !c.exists(p) {
				c.report(d, l.number, "%s does not exist", p)
			}
		}
		prose := codeSpan.ReplaceAllString(l.text, "code")
		targets := link.FindAllStringSubmatch(prose, -1)
		targets = append(targets, linkDef.FindAllStringSubmatch(prose, -1)...)
		for _, t := range targets {
			c.checkLink(d, l.number, t[1])
		}
	}
}

func (c *checker) checkLink(d *document, number int, target string) {
	u, err := url.Parse(target)
	if err != nil {
		c.report(d, number, "%v", err)
		return
	}
	if u.Scheme != "" || u.Host != "" {
		return
	}
	name := d.name
	if u.Path != "" {
		name = path.Join(path.Dir(d.name), u.Path)
	}
	if !c.exists(name) {
		c.report(d, number, "the link %s leads to no file", target)
		return
	}
	if u.Fragment == "" {
		return
	}
	if to, ok := c.documents[name]; !ok || !to.anchors[u.Fragment] {
		c.report(d, number, "the link %s leads to no heading of %s", target, name)
	}
}

func (c *checker) exists(name string) bool {
	_, err := os.Stat(filepath.Join(c.root, filepath.FromSlash(name)))
	return err == nil
}
