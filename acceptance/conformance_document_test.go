package acceptance

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

const ceremoniesFile = "../docs/ceremonies.md"

// TestConformance_document checks that docs/ceremonies.md matches the tables.
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
		t.Errorf("%s does not match the tables: run `make generate`", ceremoniesFile)
	}
}

func describeSteps(t *testing.T) string {
	t.Helper()
	attested, _, _ := attestationPolicyCases(t)
	var b strings.Builder
	b.WriteString("# Rejected and accepted WebAuthn responses\n\n" +
		"Each row is a response with one error. The tests send it to a server over HTTP, on SQLite and on\n" +
		"PostgreSQL. The server must reject it with the code. The reason must be in the log, in the metrics,\n" +
		"and in the account's audit log if the response names an account. The response must not leave a row\n" +
		"in any table, and it must consume its challenge: the valid response to the same challenge is then\n" +
		"rejected. The control case, a response without the error to a challenge of its own, must be\n" +
		"accepted. A body that cannot be parsed is not a response: it has no reason and does not consume the\n" +
		"challenge.\n\n" +
		"Sections and steps are those of [W3C WebAuthn Level 3](https://www.w3.org/TR/webauthn-3/), the\n" +
		"Recommendation of 25 August 2026. Resp-1 and so on are cases of the FIDO Alliance's server\n" +
		"conformance tests. `make generate` writes this page from the tables in\n" +
		"`acceptance/conformance_*_test.go`.\n")
	for _, part := range []struct {
		title string
		table []invalidCase
	}{
		{"Registration", invalidRegistrations(t)},
		{"Registration with a policy that requires attestation", attested},
		{"Authentication", invalidAuthentications()},
	} {
		fmt.Fprintf(&b, "\n## %s\n\n%d responses.\n\n| step | error | code | reason |\n| --- | --- | --- | --- |\n", part.title, len(part.table))
		for _, tc := range part.table {
			fmt.Fprintf(&b, "| %s | %s | `%s` | %s |\n", tc.step, tc.name, tc.wantCode(), quoted(string(tc.reason)))
		}
	}
	b.WriteString("\n## Accepted\n\nNo current client sends these responses. They are accepted in both ceremonies, or in the ceremony of\nthe section.\n\n" +
		"| step | unusual property |\n| --- | --- |\n")
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
