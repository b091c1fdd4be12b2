package cli

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/keylodge/keylodge/application"
	"github.com/keylodge/keylodge/application/signingkeys"
)

func (p *Program) keys() *cobra.Command {
	group := &cobra.Command{Use: "keys", Short: "Manage the keys that sign access tokens"}
	group.AddCommand(p.listKeys(), p.rotateKeys())
	return addJSONFlag(group)
}

func (p *Program) listKeys() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the signing keys, newest first", Args: noArguments,
		Long: `List the signing keys, newest first. A key is announced before it signs. After it is retired it
stays published until the last token that it signed has expired.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.withUseCases(cmd.Context(), func(usecases application.UseCases) error {
				keys, err := usecases.Admin.ListSigningKeys(cmd.Context())
				if err != nil {
					return err
				}
				return p.showKeys(cmd, keys)
			})
		},
	}
}

func (p *Program) rotateKeys() *cobra.Command {
	return &cobra.Command{
		Use: "rotate", Short: "Generate the next signing key", Args: noArguments,
		Long: `Generate the next signing key, and list all of them. It signs once all services can have fetched
it. Issued tokens stay valid. Keys that cannot be decrypted, because their secret is lost, are
removed.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.withUseCases(cmd.Context(), func(usecases application.UseCases) error {
				keys, err := usecases.Admin.RotateSigningKeys(cmd.Context())
				if err != nil {
					return err
				}
				return p.showKeys(cmd, keys)
			})
		},
	}
}

func (p *Program) showKeys(cmd *cobra.Command, keys []signingkeys.Key) error {
	if asJSON(cmd) {
		return printJSON(p.Stdout, map[string][]key{"keys": mapSlice(keys, keyOf)})
	}
	t := newTable(p.Stdout, "ID", "ALGORITHM", "STATE", "CREATED", "SIGNS FROM")
	t.write(mapSlice(keys, func(k signingkeys.Key) []string {
		return []string{k.ID, string(k.Algorithm), string(k.State), formatTime(k.CreatedAt), formatTime(k.SignsFrom)}
	})...)
	return nil
}

// formatTime formats a time as RFC 3339 to the second, or "" for the zero time.
func formatTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
