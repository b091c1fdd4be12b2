package cli

import "github.com/spf13/cobra"

func (p *Program) develop() *cobra.Command {
	var pageAddress string
	cmd := &cobra.Command{
		Use: "dev", Short: "Run a server for development, whose data is deleted at the end", Args: noArguments,
		Long: `Run a server for the development of an application, on this machine only. It has a new, empty
database, which is deleted at the end, and no rate limits. It sends no e-mail: a page, and /emails of it
as JSON, shows the e-mails with their codes. The page can also move the clock of the server forward, for
example until a session ends. The settings of the database, the secret, SMTP and rate limits are
ignored.

Never use it for real accounts.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.Develop(cmd.Context(), pageAddress) },
	}
	cmd.Flags().StringVar(&pageAddress, "page", "127.0.0.1:8025", "`ADDRESS` of the page with the e-mails and the clock")
	return cmd
}
