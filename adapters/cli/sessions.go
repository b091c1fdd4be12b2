package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/keylodge/keylodge/application"
	"github.com/keylodge/keylodge/application/admin"
	"github.com/keylodge/keylodge/domain"
)

func (p *Program) sessions() *cobra.Command {
	group := &cobra.Command{Use: "sessions", Short: "Manage sessions"}
	group.AddCommand(p.revokeSessions())
	return addJSONFlag(group)
}

func (p *Program) revokeSessions() *cobra.Command {
	var user string
	cmd := &cobra.Command{
		Use: "revoke {SESSION-ID | --user USER}", Short: "Revoke a session, or all sessions of a user", DisableFlagsInUseLine: true,
		Args: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("user") == (len(args) == 1) || len(args) > 1 {
				return errors.New("pass the id of one session, or a user with --user")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return p.revokeAllSessions(cmd, user)
			}
			return p.revokeSession(cmd, args[0])
		},
	}
	cmd.Flags().StringVar(&user, "user", "", "revoke all sessions of `USER`: an id or an e-mail address")
	return cmd
}

func (p *Program) revokeSession(cmd *cobra.Command, text string) error {
	id, err := domain.ParseSessionID(text)
	if err != nil {
		return invalidArguments(cmd, fmt.Errorf("%q is not a session id; users show lists them", text))
	}
	return p.withUseCases(cmd.Context(), func(usecases application.UseCases) error {
		if err := usecases.Admin.RevokeSession(cmd.Context(), id); err != nil {
			return err
		}
		return p.printResult(cmd, changeResult{SessionID: id.String(), SessionsRevoked: new(1)}, "Session %s is revoked.", id)
	})
}

func (p *Program) revokeAllSessions(cmd *cobra.Command, user string) error {
	return p.withUser(cmd, user, func(usecases application.UseCases, account admin.AccountDetails) error {
		revoked, err := usecases.Admin.RevokeSessions(cmd.Context(), userRef(account.User))
		if err != nil {
			return err
		}
		return p.printResult(cmd, changeResult{UserID: account.User.ID().String(), SessionsRevoked: &revoked},
			"User %s: %s revoked.", addressOrID(account.User), pluralize(revoked, "session"))
	})
}
