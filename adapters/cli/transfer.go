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

// stdio is the file name that stands for standard input or output.
const stdio = "-"

func (p *Program) exportAll() *cobra.Command {
	force := false
	cmd := &cobra.Command{
		Use: "export {FILE | -}", Short: "Export all data to a file", Args: oneArgument,
		Long: `Export all data to a file, for an import into another database: users, passkeys, sessions,
authenticator apps, backup codes, events, signing keys, lockouts and unsent e-mails. Stop the
server first: changes that it makes during the export may be missing. Only this user can read the
file. It does not contain the secret, which the import needs. With - the export goes to standard
output.`,
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
	cmd.Flags().BoolVar(&force, "force", false, "replace FILE if it exists")
	return addJSONFlag(cmd)
}

// printExported reports an export: on standard error if the export went to standard output.
func (p *Program) printExported(cmd *cobra.Command, name string, counts transfer.Counts) error {
	w, target := p.Stdout, name
	if name == stdio {
		w, target = p.Stderr, "standard output"
	}
	if asJSON(cmd) {
		return printJSON(w, map[string]transfer.Counts{"exported": counts})
	}
	_, err := fmt.Fprintln(w, printable(fmt.Sprintf("Exported to %s: %s. The import needs the same secret.", target, describeCounts(counts))))
	return err
}

func (p *Program) importAll() *cobra.Command {
	merge := false
	cmd := &cobra.Command{
		Use: "import {FILE | -}", Short: "Import an export", Args: oneArgument,
		Long: `Import an export, under the same secret. The whole file is checked before anything is written.
Each user is imported completely or not at all, and existing data is never overwritten: run an
interrupted import again to continue it; a repeated import changes nothing. The database is
created if there is none. Start the server afterwards. With - the export is read from standard
input.`,
		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			file, err := p.copyInput(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			defer removeTemporary(file)
			return p.withUseCasesFrom(cmd.Context(), p.OpenForImport, func(usecases application.UseCases) error {
				progress := p.newProgress(cmd)
				outcome, err := usecases.Transfer.Import(cmd.Context(), file, merge, progress.report)
				progress.end()
				if err != nil {
					return incompleteImport(err, outcome)
				}
				return p.printImported(cmd, outcome)
			})
		},
	}
	cmd.Flags().BoolVar(&merge, "merge", false, "import into a database that already has other users")
	return addJSONFlag(cmd)
}

// incompleteImport adds to the error of an import how many users were imported.
func incompleteImport(err error, outcome transfer.Outcome) error {
	imported := outcome.Added.Users + outcome.Existing.Users
	if errors.Is(err, context.Canceled) {
		if outcome.Added == (transfer.Counts{}) {
			return errInterrupted
		}
		return &domain.Error{
			Code:    "interrupted",
			Message: fmt.Sprintf("interrupted after %d of %s; run the same import again to continue", imported, pluralize(outcome.Total, "user")),
		}
	}
	if outcome.Added == (transfer.Counts{}) {
		return err
	}
	return fmt.Errorf("%w\nimported %d of %s; fix the cause, and run the same import again to continue", err, imported, pluralize(outcome.Total, "user"))
}

func (p *Program) printImported(cmd *cobra.Command, outcome transfer.Outcome) error {
	if asJSON(cmd) {
		return printJSON(p.Stdout, map[string]transfer.Counts{"imported": outcome.Added, "already_there": outcome.Existing})
	}
	p.printLine("Imported: %s.", describeCounts(outcome.Added))
	if outcome.Existing != (transfer.Counts{}) {
		p.printLine("Already in the database: %s.", describeCounts(outcome.Existing))
	}
	return nil
}

func describeCounts(c transfer.Counts) string {
	return strings.Join([]string{
		pluralize(c.Users, "user"), pluralize(c.Passkeys, "passkey"), pluralize(c.Sessions, "session"), pluralize(c.Events, "event"), pluralize(c.SigningKeys, "signing key"),
		pluralize(c.Lockouts, "lockout"), pluralize(c.Invites, "invite"), pluralize(c.OutboxEmails, "e-mail"),
	}, ", ")
}
