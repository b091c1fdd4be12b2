package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/keylodge/keylodge/application"
	"github.com/keylodge/keylodge/application/apikeys"
	"github.com/keylodge/keylodge/domain"
)

func (p *Program) apiKeys() *cobra.Command {
	group := &cobra.Command{
		Use: "api-keys", Short: "Manage the keys of programs that call the admin API",
		Long: "Manage the API keys, which programs of the operator present to the admin API.",
	}
	group.AddCommand(p.createAPIKey(), p.listAPIKeys(), p.revokeAPIKey())
	return addJSONFlag(group)
}

func (p *Program) createAPIKey() *cobra.Command {
	const day, maxDays = 24 * time.Hour, int(domain.MaxAPIKeyTTL / (24 * time.Hour))
	var texts []string
	var days int
	cmd := &cobra.Command{
		Use: "create NAME", Short: "Create an API key, and print its token", Args: oneArgument,
		Long: fmt.Sprintf(`Create an API key, and print its token, which is not stored and cannot be printed again. NAME says
which program has the key. The program sends the token in the header "Authorization: Bearer". The
scopes are:

  %s`, strings.Join(domain.ScopeTexts(domain.Scopes), "\n  ")),
		RunE: func(cmd *cobra.Command, args []string) error {
			scopes, err := parseScopes(texts)
			if err != nil {
				return err
			}
			if days < 1 || days > maxDays {
				return invalidArguments(cmd, fmt.Errorf("--days must be 1 to %d", maxDays))
			}
			return p.withUseCases(cmd.Context(), func(usecases application.UseCases) error {
				key, token, err := usecases.APIKeys.Create(cmd.Context(), args[0], scopes, time.Duration(days)*day)
				if err != nil {
					return err
				}
				if asJSON(cmd) {
					return printJSON(p.Stdout, createdAPIKey{apiKeyOf(key), token.Reveal()})
				}
				p.printLine("This is the token of API key %s, which expires at %s. It is not stored:", key.ID(), formatTime(key.State().ExpiresAt))
				p.printLine("%s", token.Reveal())
				return nil
			})
		},
	}
	cmd.Flags().StringSliceVar(&texts, "scope", nil, "what the key may do: a `SCOPE`; may be given several times")
	cmd.Flags().IntVar(&days, "days", 90, fmt.Sprintf("the key expires after `N` days, at most %d", maxDays))
	return cmd
}

// createdAPIKey is the document of a new key.
type createdAPIKey struct {
	APIKey apiKey `json:"api_key"`
	Token  string `json:"token"`
}

func parseScopes(texts []string) (scopes []domain.Scope, err error) {
	for _, text := range texts {
		scope, err := domain.ParseScope("--scope", text)
		if err != nil {
			return nil, err
		}
		scopes = append(scopes, scope)
	}
	return scopes, nil
}

func (p *Program) listAPIKeys() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the API keys, oldest first", Args: noArguments,
		Long: "List the API keys, oldest first, with those that were revoked or have expired.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.withUseCases(cmd.Context(), func(usecases application.UseCases) error {
				keys, err := allAPIKeys(cmd.Context(), usecases.APIKeys)
				if err != nil {
					return err
				}
				if asJSON(cmd) {
					return printJSON(p.Stdout, map[string][]apiKey{"api_keys": mapSlice(keys, apiKeyOf)})
				}
				t := newTable(p.Stdout, "ID", "STATUS", "EXPIRES", "LAST USED", "SCOPES", "NAME")
				t.write(mapSlice(keys, func(k apikeys.Key) []string {
					s := k.State()
					return []string{
						s.ID.String(), string(k.Status), formatTime(s.ExpiresAt), formatTime(s.LastUsedAt), strings.Join(domain.ScopeTexts(s.Scopes), ","), s.Name,
					}
				})...)
				return nil
			})
		},
	}
}

func allAPIKeys(ctx context.Context, service *apikeys.Service) (keys []apikeys.Key, err error) {
	const size = 100
	var last domain.APIKeyID
	for {
		page, err := service.List(ctx, last, size)
		if err != nil {
			return nil, err
		}
		if keys = append(keys, page...); len(page) < size {
			return keys, nil
		}
		last = page[size-1].ID()
	}
}

func (p *Program) revokeAPIKey() *cobra.Command {
	return &cobra.Command{
		Use: "revoke ID", Short: "Revoke an API key at once", Args: oneArgument,
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := domain.ParseAPIKeyID(args[0])
			if err != nil {
				return invalidArguments(cmd, fmt.Errorf("%q is not the id of an API key; api-keys list lists them", args[0]))
			}
			return p.withUseCases(cmd.Context(), func(usecases application.UseCases) error {
				key, err := usecases.APIKeys.Revoke(cmd.Context(), id)
				if err != nil {
					return err
				}
				if asJSON(cmd) {
					return printJSON(p.Stdout, map[string]apiKey{"api_key": apiKeyOf(key)})
				}
				p.printLine("API key %s is revoked.", key.ID())
				return nil
			})
		},
	}
}
