package acceptance

import (
	"errors"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	securityFile  = "../docs/security.md"
	scorecardRows = 79
)

// scoreRow is a row of the scorecard in docs/security.md.
type scoreRow struct {
	number int
	held   string
	tests  []string // package.Test or package.Test/subtest
}

var (
	rowLine  = regexp.MustCompile(`^\| *(\d+) \|`)
	codeSpan = regexp.MustCompile("`([^`]*)`")
	testName = regexp.MustCompile(`^([a-z0-9/]+)\.((?:Test|Fuzz)\w+)(?:/(.+))?$`)
)

func readScorecard(t *testing.T) (rows []scoreRow) {
	t.Helper()
	page, err := os.ReadFile(securityFile)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(page)) {
		line = strings.TrimSpace(line)
		if !rowLine.MatchString(line) {
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if len(cells) != 5 || slices.Contains(cells[:4], "") {
			t.Errorf("the row does not have number, source, requirement, implementation and tests: %s", line)
			continue
		}
		number, err := strconv.Atoi(cells[0])
		if err != nil {
			t.Fatal(err)
		}
		row := scoreRow{number: number, held: cells[3]}
		for _, span := range codeSpan.FindAllStringSubmatch(cells[4], -1) {
			row.tests = append(row.tests, span[1])
		}
		rows = append(rows, row)
	}
	return rows
}

// TestScorecard_NamesExistingTests checks that docs/security.md has all rows and names only existing tests. It cannot check
// that a test fails when its rule is violated.
func TestScorecard_NamesExistingTests(t *testing.T) {
	tests, rows := testIndex{}, readScorecard(t)
	if len(rows) != scorecardRows {
		t.Errorf("%d rows, want %d", len(rows), scorecardRows)
	}
	for i, row := range rows {
		if row.number != i+1 {
			t.Fatalf("row %d is at the position of row %d", row.number, i+1)
		}
		if len(row.tests) == 0 && !strings.HasPrefix(row.held, "Does not apply: ") {
			t.Errorf("row %d has no test: name one, or write `Does not apply: ` with a reason", row.number)
		}
		for _, name := range row.tests {
			if err := tests.find(name); err != nil {
				t.Errorf("row %d: %s: %v", row.number, name, err)
			}
		}
	}
}

// testIndex has the functions and the string literals in the tests of packages, by directory.
type testIndex map[string]*struct{ functions, texts map[string]bool }

// find returns an error unless `make test` runs a test with the name. It searches the name of a subtest among the string
// literals of the package, because most subtests are rows of a table.
func (all testIndex) find(name string) error {
	parts := testName.FindStringSubmatch(name)
	if parts == nil {
		return errors.New("the name does not have the form package.Test or package.Test/subtest")
	}
	directory, function, subtest := parts[1], parts[2], parts[3]
	if err := all.read(directory); err != nil {
		return err
	}
	found := all[directory]
	if !found.functions[function] {
		return errors.New("there is no such test")
	}
	if subtest == "" || found.texts[underscored(subtest)] {
		return nil
	}
	for part := range strings.SplitSeq(subtest, "/") {
		if !found.texts[underscored(part)] {
			return errors.New("there is no such subtest")
		}
	}
	return nil
}

// underscored replaces spaces by underscores, as `go test` does in the names of subtests.
func underscored(name string) string { return strings.ReplaceAll(name, " ", "_") }

func (all testIndex) read(directory string) error {
	if all[directory] != nil {
		return nil
	}
	// The files of this platform without build tags.
	built, err := build.ImportDir(filepath.Join("..", directory), 0)
	if err != nil {
		return err
	}
	if apart := "acceptance/durability acceptance/cluster"; slices.Contains(strings.Fields(apart), directory) {
		if tasks, err := os.ReadFile("../Makefile"); err != nil || !strings.Contains(string(tasks), "./"+directory) {
			return errors.New("make test does not run this package")
		}
	}
	var files []string
	for _, name := range slices.Concat(built.TestGoFiles, built.XTestGoFiles) {
		files = append(files, filepath.Join("..", directory, name))
	}
	contract, err := filepath.Glob("../ports/storetest/*.go") // its rules are subtests of each TestContract
	if err != nil {
		return err
	}
	found := &struct{ functions, texts map[string]bool }{map[string]bool{}, map[string]bool{}}
	for _, name := range append(files, contract...) {
		parsed, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(parsed, func(node ast.Node) bool {
			switch n := node.(type) {
			case *ast.FuncDecl:
				found.functions[n.Name.Name] = n.Recv == nil
			case *ast.BasicLit:
				if text, err := strconv.Unquote(n.Value); n.Kind == token.STRING && err == nil {
					found.texts[underscored(text)] = true
				}
			}
			return true
		})
	}
	all[directory] = found
	return nil
}
