package requirements

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
)

// section is a part of the page.
type section struct {
	title        string
	requirements []requirement
}

// requirement is a rule of a standard, in our words. Its texts are Markdown.
type requirement struct {
	id             string // the first section of source, in the form of the annotations
	source         string // the standard with all sections that contain the rule
	text           string
	implementation string
	deviation      string // the difference from the source's default with its reason, or empty
}

const page = "../../docs/security/requirements.md"

// readOnce reads the annotations of the whole tree.
var readOnce = sync.OnceValues(func() (*annotations, error) { return readAnnotations("../..") })

var update = flag.Bool("update", false, "write the generated document")

// TestRequirements_document checks that docs/security/requirements.md matches the requirements and the annotations of the tests.
func TestRequirements_document(t *testing.T) {
	found, err := readOnce()
	if err != nil {
		t.Fatal(err)
	}
	want := describe(found.tests)
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s does not match the requirements and the tests: run `make generate`", page)
	}
}

// TestRequirements_HaveTests checks that each requirement has a test and that each annotation names a requirement. It cannot
// check that a test fails when its requirement is violated.
func TestRequirements_HaveTests(t *testing.T) {
	found, err := readOnce()
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, s := range sections {
		for _, r := range s.requirements {
			if known[r.id] {
				t.Errorf("%s is listed twice", r.id)
			}
			known[r.id] = true
			if r.source == "" || r.text == "" || r.implementation+r.deviation == "" {
				t.Errorf("%s has no source, no text, or no implementation", r.id)
			}
			if len(found.tests[r.id]) == 0 {
				t.Errorf("%s has no test: add `// Requirement: %s` to the comment of a test", r.id, r.id)
			}
		}
	}
	for id, tests := range found.tests {
		if !known[id] {
			t.Errorf("there is no requirement %s, which these tests name: %s", id, strings.Join(tests, ", "))
		}
	}
}

const introduction = `# Security requirements

The requirements of Keylodge in our words, with the implementation and the tests that fail if a
requirement is violated. [threat-model.md](threat-model.md) has the threats.

- Sections refer to W3C WebAuthn Level 3 (the Recommendation of 25 August 2026; §7.1-9 is step 9),
  OWASP ASVS 5.0, NIST SP 800-63B-4, RFC 8725 and RFC 9700. An id is the first section of its
  source.
- **Deviation** marks a difference from the source's default, with the reason.
- ` + "`make test` runs all tests. `go test ./PACKAGE -run 'TEST'`" + ` runs one; it is written here as
  ` + "`PACKAGE.TEST`" + `, with the spaces of a subtest.
- [ceremonies.md](../ceremonies.md) lists the cases of ` + "`TestConformance_Registration`" + ` and
  ` + "`TestConformance_Authentication`" + `.
- ` + "`make generate`" + ` writes this page from the list in ` + "`acceptance/requirements`" + ` and from the comments
  ` + "`// Requirement: ID`" + ` of the tests.
`

// describe returns the page. Its tests are those of each requirement.
func describe(tests map[string][]string) string {
	var b strings.Builder
	b.WriteString(introduction)
	for _, s := range sections {
		fmt.Fprintf(&b, "\n## %s\n\n| id | source | requirement | status |\n| --- | --- | --- | --- |\n", s.title)
		for _, r := range s.requirements {
			status := "met"
			if r.deviation != "" {
				status = "deviation"
			}
			fmt.Fprintf(&b, "| [%s](#%s) | %s | %s | %s |\n", r.id, anchor(r.id), r.source, r.text, status)
		}
		for _, r := range s.requirements {
			fmt.Fprintf(&b, "\n### %s\n\n", r.id)
			if r.implementation != "" {
				b.WriteString(wrapped("", "Implementation: "+r.implementation+"."))
			}
			if r.implementation != "" && r.deviation != "" {
				b.WriteByte('\n')
			}
			if r.deviation != "" {
				b.WriteString(wrapped("", "**Deviation:** "+r.deviation+"."))
			}
			b.WriteString("\nTests:\n\n")
			slices.Sort(tests[r.id])
			for _, test := range slices.Compact(tests[r.id]) {
				b.WriteString(wrapped("  ", "- `"+test+"`"))
			}
		}
	}
	return b.String()
}

// anchor returns the anchor of a heading that is a requirement's id.
func anchor(id string) string { return strings.ToLower(strings.ReplaceAll(id, ".", "")) }

// wrapped breaks a text into lines of at most 100 characters and indents all lines after the first.
func wrapped(indent, text string) string {
	var b strings.Builder
	length := 0
	for word := range strings.SplitSeq(text, " ") {
		n := len([]rune(word))
		switch {
		case length == 0:
		case length+1+n > 100:
			b.WriteString("\n" + indent)
			length = len(indent)
		default:
			b.WriteByte(' ')
			length++
		}
		b.WriteString(word)
		length += n
	}
	b.WriteByte('\n')
	return b.String()
}
