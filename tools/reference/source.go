package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// project is the source of the program.
type project struct {
	root     string
	files    *token.FileSet
	packages []*sourcePackage // in the order of their paths
	openAPI  *yaml.Node
}

// sourcePackage is a Go package without its tests.
type sourcePackage struct {
	path      string // of its folder, from the root
	files     []*ast.File
	constants map[string]string   // the values of its string constants
	bound     map[string][]string // the values of parameters at the call that is looked at; nil for all calls
}

// programFolders contain the program, in the order of its layers.
var programFolders = []string{"bootstrap", "adapters", "application", "domain"}

func load(root string) (*project, error) {
	p := &project{root: root, files: token.NewFileSet()}
	for _, folder := range programFolders {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.IsDir() {
				return err
			}
			return p.loadPackage(path)
		})
		if err != nil {
			return nil, err
		}
	}
	text, err := os.ReadFile(filepath.Join(root, "adapters/httpapi/openapi.yaml"))
	if err != nil {
		return nil, err
	}
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		return nil, err
	}
	p.openAPI = document.Content[0]
	expandMerges(p.openAPI)
	return p, nil
}

// expandMerges replaces the merge key "<<" of mappings by the members of its alias, except those that the mapping has itself.
func expandMerges(n *yaml.Node) {
	for _, child := range n.Content {
		expandMerges(child)
	}
	if n.Kind != yaml.MappingNode || len(n.Content) == 0 || n.Content[0].Tag != "!!merge" {
		return
	}
	own := map[string]bool{}
	for member := range slices.Chunk(n.Content[2:], 2) {
		own[member[0].Value] = true
	}
	var inherited []*yaml.Node
	for member := range slices.Chunk(n.Content[1].Alias.Content, 2) {
		if !own[member[0].Value] {
			inherited = append(inherited, member...)
		}
	}
	n.Content = append(inherited, n.Content[2:]...)
}

func (p *project) loadPackage(folder string) error {
	name, err := filepath.Rel(p.root, folder)
	if err != nil {
		return err
	}
	found := &sourcePackage{path: filepath.ToSlash(name), constants: map[string]string{}}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if filepath.Ext(entry.Name()) != ".go" || strings.HasSuffix(entry.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(p.files, filepath.Join(folder, entry.Name()), nil, parser.ParseComments)
		if err != nil {
			return err
		}
		found.files = append(found.files, file)
	}
	if len(found.files) == 0 {
		return nil
	}
	for _, spec := range found.valueSpecs(token.CONST) {
		for i, name := range spec.Names {
			if i < len(spec.Values) {
				if text, ok := literal(spec.Values[i]); ok {
					found.constants[name.Name] = text
				}
			}
		}
	}
	p.packages = append(p.packages, found)
	return nil
}

func (p *project) packageOf(path string) (*sourcePackage, error) {
	for _, found := range p.packages {
		if found.path == path {
			return found, nil
		}
	}
	return nil, errors.New("there is no package " + path)
}

// valueSpecs returns the constants or the variables that are declared at the top level, in the order of the files.
func (s *sourcePackage) valueSpecs(kind token.Token) (specs []*ast.ValueSpec) {
	for _, file := range s.files {
		for _, declaration := range file.Decls {
			if group, ok := declaration.(*ast.GenDecl); ok && group.Tok == kind {
				for _, spec := range group.Specs {
					specs = append(specs, spec.(*ast.ValueSpec))
				}
			}
		}
	}
	return specs
}

// comments returns the comments of the package.
func (s *sourcePackage) comments() (all []*ast.CommentGroup) {
	for _, file := range s.files {
		all = append(all, file.Comments...)
	}
	return all
}

// functions calls visit for each function with a body, in the order of the files.
func (s *sourcePackage) functions(visit func(*ast.FuncDecl)) {
	for _, file := range s.files {
		for _, declaration := range file.Decls {
			if function, ok := declaration.(*ast.FuncDecl); ok && function.Body != nil {
				visit(function)
			}
		}
	}
}

// calls calls visit for each call in a node whose function has one of the names.
func calls(in ast.Node, visit func(name string, call *ast.CallExpr), names ...string) {
	ast.Inspect(in, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			name := ""
			switch function := call.Fun.(type) {
			case *ast.Ident:
				name = function.Name
			case *ast.SelectorExpr:
				name = function.Sel.Name
			}
			if slices.Contains(names, name) {
				visit(name, call)
			}
		}
		return true
	})
}

func literal(e ast.Expr) (string, bool) {
	if basic, ok := e.(*ast.BasicLit); ok && basic.Kind == token.STRING {
		text, err := strconv.Unquote(basic.Value)
		return text, err == nil
	}
	return "", false
}

// unknown stands for a part of a text that is known only when the program runs.
const unknown = "…"

var formatVerb = regexp.MustCompile(`%[-+# 0]*[0-9]*(?:\.[0-9]+)?[a-zA-Z]`)

// texts returns the values that an expression of type string may have: constants, their concatenations, formats, and variables
// and parameters of the function with such values.
func (s *sourcePackage) texts(e ast.Expr, in *ast.FuncDecl) []string {
	switch e := e.(type) {
	case *ast.BasicLit:
		if text, ok := literal(e); ok {
			return []string{text}
		}
	case *ast.ParenExpr:
		return s.texts(e.X, in)
	case *ast.BinaryExpr:
		var all []string
		for _, left := range s.texts(e.X, in) {
			for _, right := range s.texts(e.Y, in) {
				all = append(all, strings.ReplaceAll(left+right, unknown+unknown, unknown))
			}
		}
		return all
	case *ast.CallExpr:
		if called, ok := e.Fun.(*ast.SelectorExpr); ok && (called.Sel.Name == "Sprintf" || called.Sel.Name == "Errorf") {
			if format, ok := literal(e.Args[0]); ok {
				return []string{strings.ReplaceAll(formatVerb.ReplaceAllString(format, unknown), "%%", "%")}
			}
		}
	case *ast.Ident:
		if in != nil {
			if found := s.variable(e.Name, in); len(found) > 0 {
				return found
			}
		}
		if text, ok := s.constants[e.Name]; ok {
			return []string{text}
		}
	}
	return []string{unknown}
}

// variable returns the values that a function assigns to a variable, or receives as a parameter from the package.
func (s *sourcePackage) variable(name string, in *ast.FuncDecl) (found []string) {
	if bound, ok := s.bound[name]; ok {
		return bound
	}
	add := func(more []string) {
		for _, text := range more {
			if !slices.Contains(found, text) {
				found = append(found, text)
			}
		}
	}
	assignments(in.Body, func(variable string, value ast.Expr) {
		if other, ok := value.(*ast.Ident); variable == name && (!ok || other.Name != name) {
			add(s.texts(value, nil))
		}
	})
	at := parameter(name, in.Type)
	if at < 0 {
		s.closures(name, in, add)
		return found
	}
	s.functions(func(caller *ast.FuncDecl) {
		calls(caller.Body, func(_ string, call *ast.CallExpr) {
			if at < len(call.Args) && caller != in {
				add(s.texts(call.Args[at], caller))
			}
		}, in.Name.Name)
	})
	return found
}

// atEachCall calls visit with the parameters of a function bound to their values at each of its calls in the package.
func (s *sourcePackage) atEachCall(of *ast.FuncDecl, visit func()) {
	s.functions(func(caller *ast.FuncDecl) {
		calls(caller.Body, func(_ string, call *ast.CallExpr) {
			bound := map[string][]string{}
			for _, field := range of.Type.Params.List {
				for _, name := range field.Names {
					if at := parameter(name.Name, of.Type); at < len(call.Args) {
						bound[name.Name] = s.texts(call.Args[at], caller)
					}
				}
			}
			s.bound = bound
			visit()
			s.bound = nil
		}, of.Name.Name)
	})
}

// closures adds the values that a function passes to the parameter of a function literal that it assigns to a variable.
func (s *sourcePackage) closures(name string, in *ast.FuncDecl, add func([]string)) {
	assignments(in.Body, func(variable string, value ast.Expr) {
		function, ok := value.(*ast.FuncLit)
		if !ok {
			return
		}
		if at := parameter(name, function.Type); at >= 0 {
			calls(in.Body, func(_ string, call *ast.CallExpr) {
				if at < len(call.Args) {
					add(s.texts(call.Args[at], nil))
				}
			}, variable)
		}
	})
}

// assignments calls visit for each variable that is declared or assigned in a node, but not for +=.
func assignments(in ast.Node, visit func(variable string, value ast.Expr)) {
	ast.Inspect(in, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for i, left := range n.Lhs {
				if variable, ok := left.(*ast.Ident); ok && n.Tok != token.ADD_ASSIGN && len(n.Lhs) == len(n.Rhs) {
					visit(variable.Name, n.Rhs[i])
				}
			}
		case *ast.ValueSpec:
			for i, variable := range n.Names {
				if i < len(n.Values) {
					visit(variable.Name, n.Values[i])
				}
			}
		}
		return true
	})
}

// parameter returns the number of a parameter, or -1.
func parameter(name string, function *ast.FuncType) int {
	at := 0
	for _, field := range function.Params.List {
		for _, parameter := range field.Names {
			if parameter.Name == name {
				return at
			}
			at++
		}
	}
	return -1
}

// description returns the comment of a declaration without the name that it begins with, or "".
func description(name string, comment *ast.CommentGroup) string {
	if comment == nil {
		return ""
	}
	return sentence(strings.TrimPrefix(oneLine(comment.Text()), name+" "))
}

// position returns where a node is, for error messages.
func (p *project) position(n ast.Node) string {
	at := p.files.Position(n.Pos())
	return fmt.Sprintf("%s:%d", at.Filename, at.Line)
}
