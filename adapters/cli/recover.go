package cli

import (
	"github.com/spf13/cobra"

	"github.com/keylodge/keylodge/application"
	"github.com/keylodge/keylodge/application/admin"
	"github.com/keylodge/keylodge/application/timestamp"
)

// recoverUser prints a recovery link to standard output only. The operator sends it to the user.
func (p *Program) recoverUser() *cobra.Command {
	return &cobra.Command{
		Use: "recover USER", Short: "Print a link that allows a user to register one passkey within 15 minutes", Args: oneArgument,
		Long: `Print a link for a user who can neither sign in nor recover the account, and whose identity you
have verified. Anyone with the link can register one passkey, which revokes all sessions of the
account. It works once, for 15 minutes; a newer link replaces it. USER is an id or an e-mail
address.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withUser(cmd, args[0], func(usecases application.UseCases, account admin.AccountDetails) error {
				issued, err := usecases.Admin.RecoverUser(cmd.Context(), userRef(account.User))
				if err != nil {
					return err
				}
				return p.printRecoveryLink(cmd, issued)
			})
		},
	}
}

func (p *Program) printRecoveryLink(cmd *cobra.Command, issued admin.RecoveryLink) error {
	if asJSON(cmd) {
		return printJSON(p.Stdout, recoveryLink{issued.User.ID().String(), issued.Link.Reveal(), timestamp.Of(issued.ExpiresAt)})
	}
	p.printLine("Give this link to %s only. It works once, until %s:", addressOrID(issued.User), formatTime(issued.ExpiresAt))
	p.printLine("%s", issued.Link.Reveal())
	return nil
}

type recoveryLink struct {
	UserID    string         `json:"user_id"`
	Link      string         `json:"link"`
	ExpiresAt timestamp.Time `json:"expires_at"`
}
