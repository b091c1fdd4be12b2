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
	var user, addresses string
	var dryRun bool
	cmd := &cobra.Command{
		Use: "revoke {SESSION-ID | --user USER | --address RANGE [--user USER] [--dry-run]}", Short: "Revoke a session, those of a user, or those of an address range", DisableFlagsInUseLine: true,
		Long: `Revoke a session, all sessions of a user, or those whose client last had an address in a range, such
as 192.0.2.0/24. For a range, all active sessions are read, in small parts, so that sign-ins go on.`,
		Args: func(cmd *cobra.Command, args []string) error {
			byFlag := cmd.Flags().Changed("user") || cmd.Flags().Changed("address")
			switch {
			case byFlag == (len(args) == 1) || len(args) > 1:
				return errors.New("pass the id of one session, a user with --user, or a range with --address")
			case dryRun && !cmd.Flags().Changed("address"):
				return errors.New("--dry-run needs --address")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) == 1:
				return p.revokeSession(cmd, args[0])
			case cmd.Flags().Changed("address"):
				return p.revokeSessionsByAddress(cmd, addresses, user, dryRun)
			}
			return p.revokeAllSessions(cmd, user)
		},
	}
	cmd.Flags().StringVar(&user, "user", "", "revoke all sessions of `USER`: an id or an e-mail address")
	cmd.Flags().StringVar(&addresses, "address", "", "revoke the sessions of `RANGE`: an IP address or a network")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "count the sessions, and revoke none")
	return cmd
}

func (p *Program) revokeSessionsByAddress(cmd *cobra.Command, text, user string, dryRun bool) error {
	filter := admin.AddressFilter{DryRun: dryRun}
	var badAddresses, badUser error
	filter.Addresses, badAddresses = domain.ParseAddressRange("--address", text)
	if user != "" {
		filter.User, badUser = domain.ParseUserRef("--user", user)
	}
	if err := domain.JoinInvalid(badAddresses, badUser); err != nil {
		return err
	}
	return p.withUseCases(cmd.Context(), func(usecases application.UseCases) error {
		total := admin.AddressMatches{More: true}
		for total.More {
			part, err := usecases.Admin.RevokeSessionsByAddress(cmd.Context(), filter, total.Next)
			if err != nil {
				return fmt.Errorf("%w (%s revoked before)", err, pluralize(total.Revoked+part.Revoked, "session"))
			}
			total = admin.AddressMatches{Matched: total.Matched + part.Matched, Revoked: total.Revoked + part.Revoked, More: part.More, Next: part.Next}
		}
		result := changeResult{SessionsMatched: &total.Matched, SessionsRevoked: &total.Revoked}
		if dryRun {
			return p.printResult(cmd, result, "%s would be revoked.", pluralize(total.Matched, "session"))
		}
		return p.printResult(cmd, result, "%s revoked.", pluralize(total.Revoked, "session"))
	})
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
