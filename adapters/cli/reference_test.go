package cli

import (
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

var update = flag.Bool("update", false, "write docs/reference/cli.md")

// docs/reference/cli.md is generated from the help of the commands.
func TestReference_CLI(t *testing.T) {
	const file = "../../docs/reference/cli.md"
	want := describeCommands()
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != want {
		t.Errorf("%s is out of date: run `make generate` (%v)", file, err)
	}
}

func describeCommands() string {
	root := (&Program{Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: io.Discard}).root()
	var b strings.Builder
	b.WriteString("# Commands\n\nEach command prints this help with `--help`. `make generate` writes this page from it.\n\n## Exit codes\n\n" +
		"| Code | Meaning |\n| --- | --- |\n")
	for line := range strings.Lines(exitCodesHelp) {
		if code, meaning, ok := strings.Cut(strings.TrimSpace(line), "  "); ok {
			fmt.Fprintf(&b, "| %s | %s |\n", code, meaning)
		}
	}
	b.WriteString("\nWith `--json`, a command prints its error to standard error ([codes](errors.md#errors-of-commands)).\n")
	describeCommand(&b, root)
	return b.String()
}

func describeCommand(b *strings.Builder, cmd *cobra.Command) {
	cmd.InitDefaultHelpFlag()
	var help strings.Builder
	printHelp(&help, cmd)
	text, _, _ := strings.Cut(help.String(), exitCodesHelp) // the page begins with them
	fmt.Fprintf(b, "\n## %s\n\n```text\n%s\n```\n", cmd.CommandPath(), strings.TrimSpace(text))
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() && sub.Name() != "completion" {
			describeCommand(b, sub)
		}
	}
}
