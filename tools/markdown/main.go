// Command markdown checks the Markdown files of the project, and what refers to them. It prints each error with its place, and
// exits with 1 if there is one:
//
//   - a file begins with its only heading of level 1, and no level is skipped
//   - a line of prose has at most 100 characters
//   - a code block has a fence with a language
//   - a relative link leads to an existing file, and its fragment to a heading of that file
//   - a path in a code span, such as `domain/event.go`, exists
//   - a test in a code span, such as `TestStories/A_user_signs_up` or `domain.TestName`, exists
//
// In all files, a path of a page, such as docs/stories.md, must exist.
//
// Usage: markdown FOLDER
package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"

	"github.com/keylodge/keylodge/tools/markdown/slug"
)

const maxLine = 100

// skippedFolders hold no documents of the project.
var skippedFolders = []string{".git", "bin", "node_modules", "testdata"}

// withoutTitle are the files that another page includes.
var withoutTitle = []string{".github/PULL_REQUEST_TEMPLATE.md"}

var (
	// projectPath is a path below a folder of the project. One with a placeholder, such as NAME, * or …, does not match.
	projectPath = regexp.MustCompile(`^(acceptance|adapters|application|bootstrap|db|docs|domain|migrations|ports|tools|\.ci|\.githooks|\.github)/[a-z0-9_./-]*$`)
	// fence begins and ends a code block.
	fence = regexp.MustCompile("^[ >]*(```|~~~)")
	// testName is a test with its package and its case, which both may be absent.
	testName = regexp.MustCompile(`^(?:([a-z/]+)\.)?((?:Test|Fuzz|Benchmark)[A-Z]\w*)(?:/.*)?$`)
	// testFunction is the declaration of a test.
	testFunction = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)\w+)\(`)
	// pagePath is the path of a page in any text.
	pagePath = regexp.MustCompile(`\bdocs/[a-z0-9_/-]+\.md\b`)
)

// testNameForms are not tests: pages that say how to name one have them.
var testNameForms = []string{"TestType_Behaviour", "TestFunc_condition"}

// document is a Markdown file.
type document struct {
	name    string // its path below the folder of the project
	source  []byte
	tree    ast.Node
	anchors map[string]bool
}

type checker struct {
	root      string
	documents map[string]*document
	tests     map[string][]string // the folders of each test
	errors    []string
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: markdown FOLDER")
		os.Exit(2)
	}
	found, err := check(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "markdown:", err)
		os.Exit(2)
	}
	for _, line := range found {
		fmt.Println(line)
	}
	if len(found) > 0 {
		fmt.Fprintf(os.Stderr, "markdown: %d errors\n", len(found))
		os.Exit(1)
	}
}

// check returns a line for each error, sorted.
func check(root string) ([]string, error) {
	c := &checker{root: root, documents: map[string]*document{}, tests: map[string][]string{}}
	if err := filepath.WalkDir(root, c.read); err != nil {
		return nil, err
	}
	for _, d := range c.documents {
		c.checkForm(d)
	}
	for _, d := range c.documents { // when the anchors of all documents are known
		c.checkReferences(d)
	}
	slices.Sort(c.errors)
	return c.errors, nil
}

// report adds an error at an offset in a document.
func (c *checker) report(d *document, offset int, format string, arguments ...any) {
	line := 1 + bytes.Count(d.source[:offset], []byte("\n"))
	c.errors = append(c.errors, fmt.Sprintf("%s:%d: %s", d.name, line, fmt.Sprintf(format, arguments...)))
}

// read checks the paths of pages in a file, parses it if it is Markdown, and collects its tests if it is Go.
func (c *checker) read(file string, entry fs.DirEntry, err error) error {
	if err != nil {
		return err
	}
	if entry.IsDir() && slices.Contains(skippedFolders, entry.Name()) {
		return fs.SkipDir
	}
	if !entry.Type().IsRegular() {
		return nil
	}
	source, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	name, err := filepath.Rel(c.root, file)
	if err != nil {
		return err
	}
	d := &document{name: filepath.ToSlash(name), source: source, anchors: map[string]bool{}}
	for _, at := range pagePath.FindAllIndex(source, -1) {
		if page := string(source[at[0]:at[1]]); !c.exists(page) {
			c.report(d, at[0], "%s does not exist", page)
		}
	}
	switch filepath.Ext(file) {
	case ".md":
		d.tree = goldmark.New(goldmark.WithExtensions(extension.Table)).Parser().Parse(text.NewReader(source))
		c.documents[d.name] = d
	case ".go":
		for _, test := range testFunction.FindAllSubmatch(source, -1) {
			c.tests[string(test[1])] = append(c.tests[string(test[1])], path.Dir(d.name))
		}
	}
	return nil
}

// each calls visit for each node of a kind, in the order of the document.
func each[T ast.Node](in ast.Node, visit func(T)) {
	_ = ast.Walk(in, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if found, ok := n.(T); ok && entering {
			visit(found)
		}
		return ast.WalkContinue, nil
	})
}

// checkForm checks code blocks, headings and lines.
func (c *checker) checkForm(d *document) {
	each(d.tree, func(block *ast.CodeBlock) {
		c.report(d, block.Pos(), "an indented code block: use a fence with a language")
	})
	each(d.tree, func(block *ast.FencedCodeBlock) {
		if block.Language(d.source) == nil {
			c.report(d, block.Pos(), "the code block has no language: write one after the fence (text, if there is none)")
		}
		if lines := block.Lines(); lines.Len() > 0 && !fence.MatchString(d.lineAt(lines.At(lines.Len()-1).Stop)) {
			c.report(d, block.Pos(), "the code block does not end")
		}
	})
	c.checkHeadings(d)
	c.checkLines(d)
}

// checkHeadings checks the levels of headings, and collects their anchors.
func (c *checker) checkHeadings(d *document) {
	if !bytes.HasPrefix(d.source, []byte("# ")) && !slices.Contains(withoutTitle, d.name) {
		c.report(d, 0, "the file must begin with its heading of level 1")
	}
	level := 0 // of the latest heading
	slugs := map[string]int{}
	each(d.tree, func(h *ast.Heading) {
		switch {
		case h.Level == 1 && level > 0:
			c.report(d, h.Pos(), "a second heading of level 1")
		case level > 0 && h.Level > level+1:
			c.report(d, h.Pos(), "the heading skips a level")
		}
		level = h.Level
		fragment := slug.Of(d.content(h))
		if n := slugs[fragment]; n > 0 {
			d.anchors[fmt.Sprintf("%s-%d", fragment, n)] = true
		}
		d.anchors[fragment] = true
		slugs[fragment]++
	})
}

// checkLines checks the length of the lines that are not a heading, code, a table or a single word.
func (c *checker) checkLines(d *document) {
	each(d.tree, func(block ast.Node) {
		switch block.(type) {
		case *ast.Paragraph, *ast.TextBlock, *ast.HTMLBlock:
			for _, segment := range block.Lines().Sliced(0, block.Lines().Len()) {
				line := d.lineAt(segment.Start)
				if length := utf8.RuneCountInString(line); length > maxLine && strings.Contains(strings.TrimSpace(line), " ") {
					c.report(d, segment.Start, "%d characters; at most %d are allowed", length, maxLine)
				}
			}
		}
	})
}

// lineAt returns the line that contains an offset, without its end.
func (d *document) lineAt(offset int) string {
	begin := bytes.LastIndexByte(d.source[:offset], '\n') + 1
	line, _, _ := bytes.Cut(d.source[begin:], []byte("\n"))
	return string(line)
}

// content returns the text of a node without its markup.
func (d *document) content(n ast.Node) string {
	var b strings.Builder
	each(n, func(part *ast.Text) { b.Write(part.Segment.Value(d.source)) })
	return b.String()
}

// checkReferences checks the links, the paths and the names of tests in a document.
func (c *checker) checkReferences(d *document) {
	each(d.tree, func(span *ast.CodeSpan) {
		p := d.content(span)
		if p != "application/json" && projectPath.MatchString(p) && !c.exists(p) {
			c.report(d, span.Pos(), "%s does not exist", p)
		}
		if test := testName.FindStringSubmatch(p); test != nil && !c.hasTest(test[1], test[2]) {
			c.report(d, span.Pos(), "there is no test %s", p)
		}
	})
	each(d.tree, func(link *ast.Link) { c.checkLink(d, link.Pos(), string(link.Destination)) })
	each(d.tree, func(image *ast.Image) { c.checkLink(d, image.Pos(), string(image.Destination)) })
}

// hasTest reports whether there is a test, in the package if one is given.
func (c *checker) hasTest(pkg, name string) bool {
	return slices.Contains(testNameForms, name) || slices.ContainsFunc(c.tests[name], func(folder string) bool {
		return pkg == "" || strings.HasSuffix("/"+folder, "/"+pkg)
	})
}

func (c *checker) checkLink(d *document, offset int, target string) {
	u, err := url.Parse(target)
	if err != nil {
		c.report(d, offset, "%v", err)
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
		c.report(d, offset, "the link %s leads to no file", target)
		return
	}
	if u.Fragment == "" {
		return
	}
	if to, ok := c.documents[name]; !ok || !to.anchors[u.Fragment] {
		c.report(d, offset, "the link %s leads to no heading of %s", target, name)
	}
}

func (c *checker) exists(name string) bool {
	_, err := os.Stat(filepath.Join(c.root, filepath.FromSlash(name)))
	return err == nil
}
