package acceptance

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// requireSelected fails the test unless a variable of the Makefile, a pattern for go test -run, selects the name of a test. Each
// alternative of the pattern begins with ^.
func requireSelected(t testing.TB, variable, name string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(text), "\n"+variable+" := '^")
	pattern, _, ended := strings.Cut(after, "'\n")
	if !found || !ended {
		t.Fatalf("the Makefile has no pattern %s", variable)
	}
	for alternative := range strings.SplitSeq(strings.ReplaceAll(pattern, "$$", "$"), "|^") {
		if selects("^"+alternative, name) {
			return
		}
	}
	t.Fatalf("%s in the Makefile does not select %s", variable, name)
}

// selects is how go test -run applies a pattern without alternatives: one regular expression for each part of the name.
func selects(pattern, name string) bool {
	expressions := strings.Split(pattern, "/")
	for i, part := range strings.Split(name, "/") {
		if i < len(expressions) && !regexp.MustCompile(expressions[i]).MatchString(part) {
			return false
		}
	}
	return true
}
