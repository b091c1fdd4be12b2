package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

const rootHelp = `Keylodge is a passkey server. Without a command it serves, as the KEYLODGE_ settings in the environment and in .env say;
without any setting, http://localhost:8080 with a SQLite database in the working directory.

The other commands use the same settings and the same database, whether a server is running or not. None of them but
restore and import makes a database. One that an earlier release has left is upgraded, as the server would do it, except by
backup, restore, migrate and doctor.`

const exitCodesHelp = `
Exit codes:
  0  done
  1  it could not go on, say because the database is missing, or was interrupted
  2  the arguments or the settings cannot be used
  3  there is no such user or session
  4  refused as things stand, or not confirmed
  5  doctor reports an error
`

func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use: "help [COMMAND]", Short: "Tell more about a command",
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
