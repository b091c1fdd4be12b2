package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keylodge/keylodge/application"
	"github.com/keylodge/keylodge/application/transfer"
	"github.com/keylodge/keylodge/domain"
)

// stdio is what takes the place of a file's name for standard input and output.
const stdio = "-"

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
			file, err := p.createOutput(args[0], force)
			if err != nil {
				return err
			}
			defer file.discard()
			return p.withUseCases(cmd.Context(), func(usecases application.UseCases) error {
				progress := p.newProgress(cmd)
				counts, err := usecases.Transfer.Export(cmd.Context(), file, progress.report)
				progress.end()
				if err == nil {
					err = file.commit()
				}
				if err != nil {
					return err
				}
				return p.printExported(cmd, args[0], counts)
			})
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "write over a file that is there")
	return addJSONFlag(cmd)
}

// printExported leaves standard output to what was exported, if that is where it went.
func (p *Program) printExported(cmd *cobra.Command, name string, counts transfer.Counts) error {
	w, where := p.Stdout, name
	if name == stdio {
		w, where = p.Stderr, "the output"
	}
	if asJSON(cmd) {
		return printJSON(w, map[string]transfer.Counts{"exported": counts})
	}
	_, err := fmt.Fprintln(w, printable(fmt.Sprintf("%s in %s, with %s. Keep the secret with it.", pluralizeAre(counts.Users, "user"), where, describeCounts(counts))))
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
			file, err := p.copyInput(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			defer removeTemporary(file)
			return p.withUseCasesFrom(cmd.Context(), p.OpenForImport, func(usecases application.UseCases) error {
				progress := p.newProgress(cmd)
				outcome, err := usecases.Transfer.Import(cmd.Context(), file, intoExisting, progress.report)
				progress.end()
				if err != nil {
					return incompleteImport(err, outcome)
				}
				return p.printImported(cmd, outcome)
			})
		},
	}
	cmd.Flags().BoolVar(&intoExisting, "into-existing", false, "let the users live beside others who are there")
	return addJSONFlag(cmd)
}

// incompleteImport says how far an import came that did not come to its end.
func incompleteImport(err error, outcome transfer.Outcome) error {
	in := outcome.Added.Users + outcome.Existing.Users
	if errors.Is(err, context.Canceled) {
		if outcome.Added == (transfer.Counts{}) {
			return errInterrupted
		}
		return &domain.Error{
			Code:    "interrupted",
			Message: fmt.Sprintf("interrupted; %d of %s in and stay; run the same import again, and it goes on", in, pluralizeAre(outcome.Total, "user")),
		}
	}
	if outcome.Added == (transfer.Counts{}) {
		return err
	}
	return fmt.Errorf("%w\n%d of %s in and stay; once that is mended, run the same import again, and it goes on", err, in, pluralizeAre(outcome.Total, "user"))
}

func (p *Program) printImported(cmd *cobra.Command, outcome transfer.Outcome) error {
	if asJSON(cmd) {
		return printJSON(p.Stdout, map[string]transfer.Counts{"imported": outcome.Added, "already_there": outcome.Existing})
	}
	p.printLine("%s now in, with %s.", pluralizeAre(outcome.Added.Users, "user"), describeCounts(outcome.Added))
	if outcome.Existing != (transfer.Counts{}) {
		p.printLine("%s there already, with %s.", pluralizeWere(outcome.Existing.Users, "user"), describeCounts(outcome.Existing))
	}
	return nil
}

func describeCounts(c transfer.Counts) string {
	return strings.Join([]string{
		pluralize(c.Passkeys, "passkey"), pluralize(c.Sessions, "session"), pluralize(c.Events, "event"), pluralize(c.SigningKeys, "signing key"),
		pluralize(c.Lockouts, "lockout"), pluralize(c.OutboxEmails, "message"),
	}, ", ")
}

func pluralizeAre(n int, what string) string {
	if n == 1 {
		return pluralize(n, what) + " is"
	}
	return pluralize(n, what) + " are"
}

func pluralizeWere(n int, what string) string {
	if n == 1 {
		return pluralize(n, what) + " was"
	}
	return pluralize(n, what) + " were"
}
