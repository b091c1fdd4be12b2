package smtp

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"
	"text/template/parse"
)

// templateFiles has a file for each kind of e-mail: the subject, an empty line, and the text. A paragraph is one line, which mail
// clients wrap.
//
//go:embed templates
var templateFiles embed.FS

var templates = parseTemplates()

// templateSet has templates by their names. They are in the language of text/template, restricted to members of the data, constants,
// if, with and template.
//
// The set is not a text/template.Template: that one finds methods by their names, which makes the linker keep every exported method
// of every type. It adds 13 MB to the binary.
type templateSet map[string]*parse.Tree

// parseTemplates panics if an embedded template is not valid.
func parseTemplates() templateSet {
	set := templateSet{}
	files, err := fs.Glob(templateFiles, "templates/*.txt")
	for _, file := range files {
		var text []byte
		var trees map[string]*parse.Tree
		if text, err = templateFiles.ReadFile(file); err == nil {
			trees, err = parse.Parse(strings.TrimPrefix(file, "templates/"), string(text), "", "")
		}
		if err != nil {
			break
		}
		for name, tree := range trees {
			set[name] = tree
		}
	}
	if err != nil {
		panic(fmt.Errorf("reading the embedded templates: %w", err))
	}
	return set
}

// templateData has the members of the data, by name. An empty value is false in a condition.
type templateData map[string]string

func (s templateSet) execute(name string, data templateData) (string, error) {
	tree := s[name]
	if tree == nil {
		return "", fmt.Errorf("there is no template %s", name)
	}
	e := execution{set: s, data: data}
	e.node(tree.Root, "")
	return e.text.String(), e.err
}

// execution is one execution of a template, which stops at the first error.
type execution struct {
	set  templateSet
	data templateData
	text strings.Builder
	err  error
}

// node writes a node. The value of {{.}} is dot.
func (e *execution) node(node parse.Node, dot string) {
	switch n := node.(type) {
	case *parse.ListNode:
		for _, child := range n.Nodes {
			e.node(child, dot)
		}
	case *parse.TextNode:
		e.text.Write(n.Text)
	case *parse.ActionNode:
		e.text.WriteString(e.value(n.Pipe, dot))
	case *parse.IfNode:
		e.branch(&n.BranchNode, e.value(n.Pipe, dot) != "", dot, dot)
	case *parse.WithNode:
		value := e.value(n.Pipe, dot)
		e.branch(&n.BranchNode, value != "", value, dot)
	case *parse.TemplateNode:
		if tree := e.set[n.Name]; tree != nil {
			e.node(tree.Root, dot)
			return
		}
		e.fail(n)
	default:
		e.fail(n)
	}
}

// branch writes the list of a condition with dot as {{.}}, or its else list with elseDot.
func (e *execution) branch(n *parse.BranchNode, condition bool, dot, elseDot string) {
	switch {
	case condition:
		e.node(n.List, dot)
	case n.ElseList != nil:
		e.node(n.ElseList, elseDot)
	}
}

// value returns the value of a member of the data, of {{.}} or of a constant.
func (e *execution) value(pipe *parse.PipeNode, dot string) string {
	if len(pipe.Cmds) == 1 && len(pipe.Cmds[0].Args) == 1 && len(pipe.Decl) == 0 {
		switch n := pipe.Cmds[0].Args[0].(type) {
		case *parse.DotNode:
			return dot
		case *parse.StringNode:
			return n.Text
		case *parse.FieldNode:
			if value, found := e.data[n.Ident[0]]; found && len(n.Ident) == 1 {
				return value
			}
		}
	}
	e.fail(pipe)
	return ""
}

func (e *execution) fail(n parse.Node) {
	if e.err == nil {
		e.err = fmt.Errorf("cannot execute %s in a template", n)
	}
}
