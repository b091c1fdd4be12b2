package cli

import (
	"github.com/spf13/cobra"

	"github.com/keylodge/keylodge/application"
	"github.com/keylodge/keylodge/application/admin"
	"github.com/keylodge/keylodge/application/timestamp"
)

// recoverUser prints what lets one person in. It goes to standard output alone, for the operator to pass on.
func (p *Program) recoverUser() *cobra.Command {
	return &cobra.Command{
		Use: "recover WHO", Short: "Print a link that lets a person enrol a new passkey, once and within 15 minutes", Args: oneArgument,
		Long: "Print a link for a person who has nothing left to sign in or recover with, and whom you know. Whoever opens it can enrol one\n" +
			"passkey; that ends all sessions of the account. It works once, for 15 minutes, and a newer one makes it worthless.\n" +
			"WHO is the user's id or e-mail address.",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withUser(cmd, args[0], func(usecases application.UseCases, account admin.AccountDetails) error {
				given, err := usecases.Admin.RecoverUser(cmd.Context(), userRef(account.User))
				if err != nil {
					return err
				}
				if asJSON(cmd) {
					return printJSON(p.Stdout, recoveryLink{account.User.ID().String(), given.Link.Reveal(), timestamp.Of(given.ExpiresAt)})
				}
				p.printLine("Give this link to %s, and to nobody else. It works once, until %s:", addressOrID(account.User), formatTime(given.ExpiresAt))
				p.printLine("%s", given.Link.Reveal())
				return nil
			})
		},
	}
}

type recoveryLink struct {
	UserID    string         `json:"user_id"`
	Link      string         `json:"link"`
	ExpiresAt timestamp.Time `json:"expires_at"`
}
