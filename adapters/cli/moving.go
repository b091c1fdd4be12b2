package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keylodge/keylodge/application"
	"github.com/keylodge/keylodge/application/moving"
	"github.com/keylodge/keylodge/domain"
)

// standard is what takes the place of a file's name for standard input and output.
const standard = "-"

func (p *Program) exportAll() *cobra.Command {
	force := false
	cmd := &cobra.Command{
		Use: "export {FILE | -}", Short: "Write everything that lasts to a file, to be imported elsewhere", Args: oneArgument,
		Long: "Write everything that lasts to a file, to be imported into another database: users, passkeys, sessions, authenticator apps,\n" +
			"backup codes, logs, signing keys, counts of wrong codes and mail that waits. Stop the server first: what it changes while the\n" +
			"export runs may be missing. The file is for this user alone; it holds no secret, and is of use only together with the one of\n" +
			"this installation. With - it goes to standard output.",
		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			file, err := p.draft(args[0], force)
			if err != nil {
				return err
			}
			defer file.discard()
			return p.within(cmd.Context(), func(usecases application.UseCases) error {
				progress := p.watch(cmd)
				counts, err := usecases.Moving.Export.Execute(cmd.Context(), file, progress.report)
				progress.end()
				if err == nil {
					err = file.keep()
				}
				if err != nil {
					return err
				}
				return p.tellExported(cmd, args[0], counts)
			})
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "write over a file that is there")
	return offerJSON(cmd)
}

// tellExported leaves standard output to what was exported, if that is where it went.
func (p *Program) tellExported(cmd *cobra.Command, name string, counts moving.Counts) error {
	w, where := p.Stdout, name
	if name == standard {
		w, where = p.Stderr, "the output"
	}
	if asJSON(cmd) {
		return printJSON(w, map[string]moving.Counts{"exported": counts})
	}
	_, err := fmt.Fprintln(w, printable(fmt.Sprintf("%s in %s, with %s. Keep the secret with it.", are(counts.Users, "user"), where, belongings(counts))))
	return err
}

func (p *Program) importAll() *cobra.Command {
	intoExisting := false
	cmd := &cobra.Command{
		Use: "import {FILE | -}", Short: "Bring in what was exported", Args: oneArgument,
		Long: "Bring in what was exported, under the same secret. The whole file is checked before anything is written. A user comes in whole\n" +
			"or not at all, and nothing that is there is written over: an import that was interrupted goes on when it is run again, and\n" +
			"one that was done changes nothing. The database is made if there is none. Start the server afterwards. With - the export\n" +
			"comes from standard input.",
		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			file, err := p.source(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			defer file.discard()
			return p.withinOf(cmd.Context(), p.OpenForImport, func(usecases application.UseCases) error {
				progress := p.watch(cmd)
				outcome, err := usecases.Moving.Import.Execute(cmd.Context(), file, intoExisting, progress.report)
				progress.end()
				if err != nil {
					return unfinished(err, outcome)
				}
				return p.tellImported(cmd, outcome)
			})
		},
	}
	cmd.Flags().BoolVar(&intoExisting, "into-existing", false, "let the users live beside others who are there")
	return offerJSON(cmd)
}

// unfinished says how far an import came that did not come to its end.
func unfinished(err error, outcome moving.Outcome) error {
	in := outcome.Added.Users + outcome.Present.Users
	if errors.Is(err, context.Canceled) {
		if outcome.Added == (moving.Counts{}) {
			return errInterrupted
		}
		return &domain.Error{
			Code:    "interrupted",
			Message: fmt.Sprintf("interrupted; %d of %s in and stay; run the same import again, and it goes on", in, are(outcome.Total, "user")),
		}
	}
	if outcome.Added == (moving.Counts{}) {
		return err
	}
	return fmt.Errorf("%w\n%d of %s in and stay; once that is mended, run the same import again, and it goes on", err, in, are(outcome.Total, "user"))
}

func (p *Program) tellImported(cmd *cobra.Command, outcome moving.Outcome) error {
	if asJSON(cmd) {
		return printJSON(p.Stdout, map[string]moving.Counts{"imported": outcome.Added, "already_there": outcome.Present})
	}
	p.say("%s now in, with %s.", are(outcome.Added.Users, "user"), belongings(outcome.Added))
	if outcome.Present != (moving.Counts{}) {
		p.say("%s there already, with %s.", were(outcome.Present.Users, "user"), belongings(outcome.Present))
	}
	return nil
}

func belongings(c moving.Counts) string {
	return strings.Join([]string{
		counted(c.Passkeys, "passkey"), counted(c.Sessions, "session"), counted(c.Events, "event"), counted(c.SigningKeys, "signing key"),
		counted(c.Lockouts, "lockout"), counted(c.Messages, "message"),
	}, ", ")
}

func are(n int, what string) string {
	if n == 1 {
		return counted(n, what) + " is"
	}
	return counted(n, what) + " are"
}

func were(n int, what string) string {
	if n == 1 {
		return counted(n, what) + " was"
	}
	return counted(n, what) + " were"
}
