package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

const rootHelp = `Keylodge is a passkey server. Without a command it runs the server, with the KEYLODGE_ settings of
the environment and of .env. Without settings it serves http://localhost:8080, with a SQLite
database in the working directory.

The other commands use the same settings and the same database, whether a server is running or
not. Only restore and import create a database. All commands but backup, restore, migrate, doctor
and healthcheck upgrade the database of an earlier release, as the server does.`

const exitCodesHelp = `
Exit codes:
  0  success
  1  runtime error, for example a missing database, or interrupted
  2  invalid arguments or settings
  3  no such user or session
  4  conflict, or not confirmed
  5  doctor reports an error
`

func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use: "help [COMMAND]", Short: "Show help for a command",
		RunE: func(cmd *cobra.Command, args []string) error {
			found, rest, err := cmd.Root().Find(args)
			if err == nil && len(rest) > 0 {
				err = noSuchCommand(found, rest[0])
			}
			if err != nil {
				return invalidArguments(cmd.Root(), err)
			}
			found.InitDefaultHelpFlag()
			return found.Help()
		},
	}
}

func printHelp(w io.Writer, cmd *cobra.Command) {
	text := strings.TrimSpace(cmd.Long)
	if text == "" {
		text = cmd.Short + "."
	}
	fmt.Fprintf(w, "%s\n\nUsage:\n  %s\n", text, cmd.UseLine())
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintln(w, "\nCommands:")
		for _, sub := range cmd.Commands() {
			if sub.IsAvailableCommand() {
				fmt.Fprintf(w, "  %-*s  %s\n", sub.NamePadding(), sub.Name(), sub.Short)
			}
		}
	}
	fmt.Fprintf(w, "\nFlags:\n%s", cmd.Flags().FlagUsages())
	if !cmd.HasParent() {
		fmt.Fprint(w, exitCodesHelp)
	}
}
