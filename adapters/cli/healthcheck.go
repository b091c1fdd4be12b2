package cli

import "github.com/spf13/cobra"

func (p *Program) healthcheck() *cobra.Command {
	return &cobra.Command{
		Use: "healthcheck", Short: "Check that the server is ready, for a container", Args: noArguments,
		Long: `Check that the server on this machine is ready, for a container: it requests /readyz on the address
of KEYLODGE_LISTEN. The exit code is 0 if the server can read and write its database.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := p.CheckReady(cmd.Context()); err != nil {
				return err
			}
			p.printLine("ready")
			return nil
		},
	}
}
