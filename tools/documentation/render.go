package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path"
	"strings"

	"github.com/klauspost/compress/flate"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"

	"github.com/keylodge/keylodge/tools/markdown/slug"
)

func newDeflater(w io.Writer) (io.WriteCloser, error) {
	return flate.NewWriter(w, flate.BestCompression)
}

var markdown = goldmark.New(goldmark.WithExtensions(extension.GFM), goldmark.WithParserOptions(parser.WithAutoHeadingID()))

// render returns the title of a document, and its HTML. Comments, which are for tests, are left out.
func render(name string, source []byte, sources map[string][]byte) (title string, body []byte, err error) {
	tree := markdown.Parser().Parse(text.NewReader(source), parser.WithContext(parser.NewContext(parser.WithIDs(&fragments{seen: map[string]int{}}))))
	var removed []ast.Node
	err = ast.Walk(tree, func(node ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := node.(type) {
		case *ast.Heading:
			if n.Level == 1 {
				title = strings.ReplaceAll(string(n.Lines().Value(source)), "`", "")
			}
		case *ast.HTMLBlock, *ast.RawHTML:
			removed = append(removed, n)
		case *ast.Link:
			destination, found, err := resolve(name, string(n.Destination), sources)
			if err != nil {
				return ast.WalkStop, err
			}
			n.Destination = []byte(destination)
			if !found {
				removed = append(removed, n)
			}
		}
		return ast.WalkContinue, nil
	})
	if err == nil && title == "" {
		err = errors.New("the page has no title")
	}
	if err != nil {
		return "", nil, err
	}
	for _, n := range removed {
		unwrap(n)
	}
	var b bytes.Buffer
	err = markdown.Renderer().Render(&b, source, tree)
	return title, b.Bytes(), err
}

// unwrap removes a node, and leaves its children: those of a link are its text.
func unwrap(n ast.Node) {
	for child := n.FirstChild(); child != nil; child = n.FirstChild() {
		n.Parent().InsertBefore(n.Parent(), n, child)
	}
	n.Parent().RemoveChild(n.Parent(), n)
}

// resolve returns the address of a link's target, and whether it is served or on another site.
func resolve(name, destination string, sources map[string][]byte) (address string, found bool, err error) {
	u, err := url.Parse(destination)
	if err != nil {
		return "", false, err
	}
	if u.IsAbs() || u.Path == "" {
		return destination, true, nil
	}
	target := path.Join(path.Dir(name), u.Path)
	if _, found := sources[target]; !found {
		return "", false, nil
	}
	address = urlOf(target)
	if u.Fragment != "" {
		address += "#" + u.Fragment
	}
	return address, true, nil
}

// fragments are the ids of a page's headings, as GitHub gives them, so that links work in both places.
type fragments struct{ seen map[string]int }

var _ parser.IDs = (*fragments)(nil)

// Generate implements parser.IDs.
func (f *fragments) Generate(value []byte, _ ast.NodeKind) []byte {
	id := slug.Of(strings.ReplaceAll(string(value), "`", ""))
	n := f.seen[id]
	f.seen[id]++
	if n > 0 {
		id = fmt.Sprintf("%s-%d", id, n)
	}
	return []byte(id)
}

// Put implements parser.IDs.
func (f *fragments) Put(value []byte) { f.seen[string(value)]++ }
