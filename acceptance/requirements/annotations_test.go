package requirements

import (
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

var (
	requirementLine = regexp.MustCompile(`(?m)^Requirement: (.+)$`)
	casesLine       = regexp.MustCompile(`(?m)^Cases of: (.+)$`)
	testFunction    = regexp.MustCompile(`^(Test|Fuzz)[A-Z]\w*$`)
	functionOf      = regexp.MustCompile(`^[^.]+\.\w+`)
)

// annotations are the annotations of all tests.
type annotations struct {
	files     token.FileSet
	tests     map[string][]string       // the tests of each requirement, as DIRECTORY.TEST or DIRECTORY.TEST/CASE
	functions map[string]bool           // all test functions, as DIRECTORY.TEST
	casesOf   map[string]token.Position // the tests that comments with Cases of name
}

// readAnnotations reads the tests of all packages below root, and the storage contract, whose rules are cases of tests.
func readAnnotations(root string) (*annotations, error) {
	a := &annotations{tests: map[string][]string{}, functions: map[string]bool{}, casesOf: map[string]token.Position{}}
	platform := build.Default
	platform.GOOS, platform.GOARCH = "linux", "amd64" // the page must be the same on all platforms
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		folder, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		directory := filepath.ToSlash(folder)
		if !strings.HasSuffix(path, "_test.go") && (directory != "ports/storetest" || !strings.HasSuffix(path, ".go")) {
			return nil
		}
		if included, err := platform.MatchFile(filepath.Dir(path), entry.Name()); err != nil || !included {
			return err
		}
		return a.readFile(path, directory)
	})
	if err != nil {
		return nil, err
	}
	for test, position := range a.casesOf {
		if !a.functions[functionOf.FindString(test)] {
			return nil, fmt.Errorf("%s: there is no test %s", position, test)
		}
	}
	return a, nil
}

func (a *annotations) readFile(path, directory string) error {
	file, err := parser.ParseFile(&a.files, path, nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	for _, comment := range file.Comments {
		ids := listed(requirementLine, comment)
		if len(ids) == 0 {
			continue
		}
		tests, err := a.annotatedTests(file, directory, comment)
		if err != nil {
			return fmt.Errorf("%s: %w", a.files.Position(comment.Pos()), err)
		}
		for _, id := range ids {
			a.tests[id] = append(a.tests[id], tests...)
		}
	}
	for _, declaration := range file.Decls {
		if function, is := declaration.(*ast.FuncDecl); is && isTest(function) {
			a.functions[directory+"."+function.Name.Name] = true
		}
	}
	return nil
}

// annotatedTests returns the tests that a comment with Requirement is for.
func (a *annotations) annotatedTests(file *ast.File, directory string, comment *ast.CommentGroup) ([]string, error) {
	for _, declaration := range file.Decls {
		var doc *ast.CommentGroup
		var tests []string
		switch d := declaration.(type) {
		case *ast.FuncDecl:
			if doc = d.Doc; isTest(d) {
				tests = []string{directory + "." + d.Name.Name}
			}
		case *ast.GenDecl:
			doc = d.Doc
		}
		if doc != comment && (comment.Pos() < declaration.Pos() || comment.End() > declaration.End()) {
			continue
		}
		for _, test := range listed(casesLine, doc) {
			if !strings.Contains(test, ".") {
				test = directory + "." + test
			}
			tests = append(tests, test)
			a.casesOf[test] = a.files.Position(doc.Pos())
		}
		if len(tests) == 0 {
			return nil, fmt.Errorf("the declaration is not a test; name the tests that run its cases with a line `Cases of: `")
		}
		if doc == comment {
			return tests, nil
		}
		name := a.firstText(declaration, a.files.Position(comment.End()).Line+1)
		if name == "" {
			return nil, fmt.Errorf("the line after the comment does not contain the name of a case")
		}
		for i := range tests {
			tests[i] += "/" + name
		}
		return tests, nil
	}
	return nil, fmt.Errorf("the comment does not belong to a declaration")
}

// firstText returns the first string literal in a line of the declaration.
func (a *annotations) firstText(declaration ast.Decl, line int) (text string) {
	ast.Inspect(declaration, func(node ast.Node) bool {
		literal, is := node.(*ast.BasicLit)
		if is && text == "" && literal.Kind == token.STRING && a.files.Position(literal.Pos()).Line == line {
			text, _ = strconv.Unquote(literal.Value) // the parser has accepted it
		}
		return text == ""
	})
	return text
}

func isTest(function *ast.FuncDecl) bool {
	return function.Recv == nil && testFunction.MatchString(function.Name.Name)
}

// listed returns the items of the lines of a comment that match.
func listed(line *regexp.Regexp, comment *ast.CommentGroup) (items []string) {
	for _, match := range line.FindAllStringSubmatch(comment.Text(), -1) {
		items = append(items, strings.Split(match[1], ", ")...)
	}
	return items
}
