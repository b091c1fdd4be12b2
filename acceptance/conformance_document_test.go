package acceptance

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

const ceremoniesFile = "../docs/ceremonies.md"

// TestConformance_document holds docs/ceremonies.md to the tables.
func TestConformance_document(t *testing.T) {
	want := describeSteps(t)
	if *update {
		if err := os.WriteFile(ceremoniesFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(ceremoniesFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not what the tables say; `make generate` writes it", ceremoniesFile)
	}
}

func describeSteps(t *testing.T) string {
	t.Helper()
	attested, _, _ := attestationPolicyCases(t)
	var b strings.Builder
	b.WriteString("# What a ceremony refuses\n\n" +
		"Each line is one answer with one thing wrong with it. It is sent to a server over HTTP, on SQLite and on PostgreSQL; it must be refused\n" +
		"with this code, for this reason in the log, the metrics and the log of the account if there is one; no row may be left in any table, and the\n" +
		"right answer to the same challenge must come too late. Its twin, with nothing wrong, must pass. Sections and steps are those of\n" +
		"[W3C WebAuthn Level 3](https://www.w3.org/TR/webauthn-3/), the Recommendation of 25 August 2026; Resp-1 and so on are cases of the\n" +
		"FIDO Alliance's server conformance tests.\n" +
		"A body that cannot be read is no answer: it has no reason and spends nothing.\n" +
		"`make generate` writes this page from the tables in `acceptance/conformance_*_test.go`.\n")
	for _, part := range []struct {
		title string
		table []invalidCase
	}{
		{"Registration", invalidRegistrations(t)},
		{"Registration, where authenticators have to be attested", attested},
		{"Authentication", invalidAuthentications()},
	} {
		fmt.Fprintf(&b, "\n## %s\n\n%d answers.\n\n| step | what is wrong | code | reason |\n| --- | --- | --- | --- |\n", part.title, len(part.table))
		for _, tc := range part.table {
			fmt.Fprintf(&b, "| %s | %s | `%s` | %s |\n", tc.step, tc.name, tc.wantCode(), quoted(string(tc.reason)))
		}
	}
	b.WriteString("\n## Accepted\n\nThese answers are not what clients of today write, and are accepted in both ceremonies or in the one of the section.\n\n" +
		"| step | what is odd |\n| --- | --- |\n")
	described := map[[2]string]bool{}
	for _, unusual := range slices.Concat(unusualRegistrations(), unusualAuthentications()) {
		if row := [2]string{unusual.step, unusual.name}; !described[row] {
			described[row] = true
			fmt.Fprintf(&b, "| %s | %s |\n", unusual.step, unusual.name)
		}
	}
	decisions, err := os.ReadFile("testdata/ceremony-decisions.md")
	if err != nil {
		t.Fatal(err)
	}
	b.WriteString("\n")
	b.Write(decisions)
	return b.String()
}

func quoted(reason string) string {
	if reason == "" {
		return ""
	}
	return "`" + reason + "`"
}
