package sqlstore

import (
	"context"

	"github.com/keylodge/keylodge/db/column"
	"github.com/keylodge/keylodge/db/sqlitedb"
	"github.com/keylodge/keylodge/domain"
)

type signingKeys struct{ collection }

func (k signingKeys) Add(ctx context.Context, key *domain.SigningKey) error {
	s := key.State()
	return k.wrap("adding a signing key", k.q.AddSigningKey(ctx, sqlitedb.AddSigningKeyParams{
		ID:           s.ID,
		Algorithm:    string(s.Algorithm),
		EncryptedKey: s.EncryptedKey,
		CreatedAt:    column.Time{Time: s.CreatedAt},
		SignsFrom:    column.Time{Time: s.SignsFrom},
	}))
}

func (k signingKeys) All(ctx context.Context) (domain.SigningKeys, error) {
	rows, err := k.q.ListSigningKeys(ctx)
	if err != nil {
		return nil, k.wrap("listing the signing keys", err)
	}
	keys := make(domain.SigningKeys, len(rows))
	for i, row := range rows {
		keys[i] = domain.RestoreSigningKey(domain.SigningKeyState{
			ID:           row.ID,
			Algorithm:    domain.SigningAlgorithm(row.Algorithm),
			EncryptedKey: row.EncryptedKey,
			CreatedAt:    row.CreatedAt.Time,
			SignsFrom:    row.SignsFrom.Time,
		})
	}
	return keys, nil
}

func (k signingKeys) Remove(ctx context.Context, id string) error {
	return k.wrap("removing a signing key", k.q.RemoveSigningKey(ctx, id))
}
