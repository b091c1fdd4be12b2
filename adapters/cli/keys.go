package cli

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/keylodge/keylodge/application"
	"github.com/keylodge/keylodge/application/signingkeys"
)

func (p *Program) keys() *cobra.Command {
	group := &cobra.Command{Use: "keys", Short: "Look after the keys that sign access tokens"}
	group.AddCommand(p.listKeys(), p.rotateKeys())
	return addJSONFlag(group)
}

func (p *Program) listKeys() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the signing keys, the last to sign first", Args: noArguments,
		Long: `List the signing keys, the last to sign first. A key is announced before it signs, and stays published after it is retired
until the last token that it has signed has expired.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.withUseCases(cmd.Context(), func(usecases application.UseCases) error {
				keys, err := usecases.SigningKeys.List(cmd.Context())
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
		Use: "rotate", Short: "Make the next signing key", Args: noArguments,
		Long: `Make the next signing key, and list all of them. It signs as soon as everybody can know it; tokens that are out stay valid.
Keys that cannot be read, because the secret that they were kept under is lost, are given up.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.withUseCases(cmd.Context(), func(usecases application.UseCases) error {
				keys, err := usecases.SigningKeys.Rotate(cmd.Context())
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

// formatTime is a time for people: in one word, to the second; "" for none.
func formatTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
