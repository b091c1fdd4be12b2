package sqlstore

import (
	"context"

	"github.com/keylodge/keylodge/db/column"
	"github.com/keylodge/keylodge/db/sqlitedb"
	"github.com/keylodge/keylodge/domain"
)

type apiKeys struct{ collection }

func (k apiKeys) Add(ctx context.Context, key *domain.APIKey) error {
	s := key.State()
	return k.wrap("adding an API key", k.q.AddAPIKey(ctx, sqlitedb.AddAPIKeyParams{
		ID:          s.ID.String(),
		Name:        s.Name,
		TokenDigest: s.Token[:],
		Scopes:      stringsOf(s.Scopes),
		CreatedAt:   column.Time{Time: s.CreatedAt},
		ExpiresAt:   column.Time{Time: s.ExpiresAt},
		LastUsedAt:  column.Time{Time: s.LastUsedAt},
		RevokedAt:   column.Time{Time: s.RevokedAt},
	}))
}

func (k apiKeys) ByToken(ctx context.Context, token domain.TokenDigest) (*domain.APIKey, error) {
	row, err := k.q.APIKeyByToken(ctx, token[:])
	if err != nil {
		return nil, k.wrapNotFound("looking up an API key by its token", err, domain.ErrAPIKeyInvalid)
	}
	return apiKeyOf(row)
}

func (k apiKeys) ByID(ctx context.Context, id domain.APIKeyID) (*domain.APIKey, error) {
	row, err := k.q.APIKeyByID(ctx, id.String())
	if err != nil {
		return nil, k.wrapNotFound("looking up an API key", err, domain.ErrAPIKeyNotFound)
	}
	return apiKeyOf(row)
}

func (k apiKeys) List(ctx context.Context, after domain.APIKeyID, limit int) ([]*domain.APIKey, error) {
	rows, err := k.q.ListAPIKeys(ctx, after.String(), int64(limit))
	if err != nil {
		return nil, k.wrap("listing the API keys", err)
	}
	return restoreAll(rows, apiKeyOf)
}

func (k apiKeys) Save(ctx context.Context, key *domain.APIKey) error {
	s := key.State()
	saved, err := k.q.SaveAPIKey(ctx, sqlitedb.SaveAPIKeyParams{
		LastUsedAt: column.Time{Time: s.LastUsedAt}, RevokedAt: column.Time{Time: s.RevokedAt}, ID: s.ID.String(),
	})
	return k.affected("saving an API key", saved, err, domain.ErrAPIKeyNotFound)
}

func apiKeyOf(row sqlitedb.APIKey) (*domain.APIKey, error) {
	var d decoder
	s := domain.APIKeyState{
		ID:         parseID(&d, "id", row.ID, domain.ParseAPIKeyID),
		Name:       row.Name,
		Scopes:     listOf[domain.Scope](row.Scopes),
		CreatedAt:  row.CreatedAt.Time,
		ExpiresAt:  row.ExpiresAt.Time,
		LastUsedAt: row.LastUsedAt.Time,
		RevokedAt:  row.RevokedAt.Time,
	}
	d.bytes("token_digest", s.Token[:], row.TokenDigest)
	return restore(d, "API key", s, domain.RestoreAPIKey)
}
