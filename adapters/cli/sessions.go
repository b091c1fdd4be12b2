package cli

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/keylodge/keylodge/application"
	"github.com/keylodge/keylodge/application/admin"
	"github.com/keylodge/keylodge/domain"
)

func (p *Program) sessions() *cobra.Command {
	group := &cobra.Command{Use: "sessions", Short: "Look after sign-ins that last"}
	group.AddCommand(p.revokeSessions())
	return addJSONFlag(group)
}

func (p *Program) revokeSessions() *cobra.Command {
	var owner string
	cmd := &cobra.Command{
		Use: "revoke {SESSION-ID | --user WHO}", Short: "End a session, or all sessions of a user", DisableFlagsInUseLine: true,
		Args: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("user") == (len(args) == 1) || len(args) > 1 {
				return errors.New("name one session by its id, or a user with --user")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return p.revokeAllSessions(cmd, owner)
			}
			return p.revokeSession(cmd, args[0])
		},
	}
	cmd.Flags().StringVar(&owner, "user", "", "end all sessions of `WHO`: an id or an e-mail address")
	return cmd
}

func (p *Program) revokeSession(cmd *cobra.Command, written string) error {
	id, err := domain.ParseSessionID(written)
	if err != nil {
		return invalidArguments(cmd, errors.New("name the session by its id; users show lists them"))
	}
	return p.withUseCases(cmd.Context(), func(usecases application.UseCases) error {
		if err := usecases.Admin.RevokeSession(cmd.Context(), id); err != nil {
			return err
		}
		if asJSON(cmd) {
			return printJSON(p.Stdout, changeResult{SessionID: id.String(), SessionsRevoked: new(1)})
		}
		p.printLine("Session %s is ended.", id)
		return nil
	})
}

func (p *Program) revokeAllSessions(cmd *cobra.Command, owner string) error {
	return p.withUser(cmd, owner, func(usecases application.UseCases, account admin.AccountDetails) error {
		ended, err := usecases.Admin.RevokeSessions(cmd.Context(), userRef(account.User))
		if err != nil {
			return err
		}
		if asJSON(cmd) {
			return printJSON(p.Stdout, changeResult{UserID: account.User.ID().String(), SessionsRevoked: &ended})
		}
		p.printLine("User %s: %s ended.", addressOrID(account.User), pluralize(ended, "session"))
		return nil
	})
}
