package storetest

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

var apiKeys = rules{
	"every field is stored": func(t *testing.T, store ports.Store) {
		key := apiKey("backup")
		wantComplete(t, key)
		addAPIKeys(t, store, apiKey("other"), key)
		wantAPIKey(t, store, key)
	},

	"optional fields stay empty": func(t *testing.T, store ports.Store) {
		key := unusedAPIKey("backup")
		addAPIKeys(t, store, key)
		wantAPIKey(t, store, key)
	},

	"an unknown key is not found": func(t *testing.T, store ports.Store) {
		addAPIKeys(t, store, apiKey("other"))
		if key, err := apiKeyByToken(t, store, apiKey("backup").Token); !errors.Is(err, domain.ErrAPIKeyInvalid) {
			t.Errorf("ByToken returned %v, %v", key, err)
		}
		if key, err := apiKeyByID(t, store, apiKey("backup").ID); !errors.Is(err, domain.ErrAPIKeyNotFound) {
			t.Errorf("ByID returned %v, %v", key, err)
		}
		err := store.Update(t.Context(), func(tx ports.Tx) error {
			return tx.APIKeys.Save(t.Context(), domain.RestoreAPIKey(apiKey("backup")))
		})
		if !errors.Is(err, domain.ErrAPIKeyNotFound) {
			t.Errorf("Save returned %v", err)
		}
	},

	"a duplicate id or token is rejected": func(t *testing.T, store ports.Store) {
		first, sameID, sameToken := apiKey("backup"), apiKey("other"), apiKey("third")
		sameID.ID, sameToken.Token = first.ID, first.Token
		addAPIKeys(t, store, first)
		for _, duplicate := range []domain.APIKeyState{sameID, sameToken} {
			err := store.Update(t.Context(), func(tx ports.Tx) error {
				return tx.APIKeys.Add(t.Context(), domain.RestoreAPIKey(duplicate))
			})
			if err == nil {
				t.Errorf("added %+v", duplicate)
			}
		}
		wantAPIKey(t, store, first)
	},

	"List returns pages by id": func(t *testing.T, store ports.Store) {
		all := []domain.APIKeyState{apiKey("a"), apiKey("b"), apiKey("c"), apiKey("d")}
		addAPIKeys(t, store, all...)
		slices.SortFunc(all, func(a, b domain.APIKeyState) int { return slices.Compare([]byte(a.ID.String()), []byte(b.ID.String())) })
		var got []*domain.APIKey
		for after := (domain.APIKeyID{}); ; {
			page, err := get(t, store, func(ctx context.Context, tx ports.Tx) ([]*domain.APIKey, error) {
				return tx.APIKeys.List(ctx, after, 3)
			})
			if err != nil {
				t.Fatal(err)
			}
			if got = append(got, page...); len(page) < 3 {
				break
			}
			after = page[2].ID()
		}
		wantList(t, got, nil, all...)
	},

	"Save stores the use and the revocation of one key": func(t *testing.T, store ports.Store) {
		key, other := unusedAPIKey("backup"), unusedAPIKey("other")
		addAPIKeys(t, store, key, other)
		key.LastUsedAt, key.RevokedAt = hour(7), hour(9)
		update(t, store, func(ctx context.Context, tx ports.Tx) error { return tx.APIKeys.Save(ctx, domain.RestoreAPIKey(key)) })
		wantAPIKey(t, store, key)
		wantAPIKey(t, store, other)
	},
}

// wantAPIKey checks the key that the store finds by its id and by its token.
func wantAPIKey(t *testing.T, store ports.Store, want domain.APIKeyState) {
	t.Helper()
	byID, errID := apiKeyByID(t, store, want.ID)
	byToken, errToken := apiKeyByToken(t, store, want.Token)
	wantList(t, []*domain.APIKey{byID, byToken}, errors.Join(errID, errToken), want, want)
}

func apiKeyByID(t *testing.T, store ports.Store, id domain.APIKeyID) (*domain.APIKey, error) {
	t.Helper()
	return get(t, store, func(ctx context.Context, tx ports.Tx) (*domain.APIKey, error) { return tx.APIKeys.ByID(ctx, id) })
}

func apiKeyByToken(t *testing.T, store ports.Store, token domain.TokenDigest) (*domain.APIKey, error) {
	t.Helper()
	return get(t, store, func(ctx context.Context, tx ports.Tx) (*domain.APIKey, error) { return tx.APIKeys.ByToken(ctx, token) })
}
