package postgres

import (
	"context"

	"github.com/keylodge/keylodge/db/postgresdb"
	"github.com/keylodge/keylodge/domain"
)

type signingKeys struct{ queries *postgresdb.Queries }

func (k signingKeys) Add(ctx context.Context, key *domain.SigningKey) error {
	s := key.State()
	err := k.queries.AddSigningKey(ctx, postgresdb.AddSigningKeyParams{
		ID:        s.ID,
		Algorithm: string(s.Algorithm),
		Sealed:    s.EncryptedKey,
		CreatedAt: s.CreatedAt,
		SignsFrom: s.SignsFrom,
	})
	if err != nil {
		return wrap("adding a signing key", err)
	}
	return nil
}

func (k signingKeys) All(ctx context.Context) (domain.SigningKeys, error) {
	rows, err := k.queries.SigningKeys(ctx)
	if err != nil {
		return nil, wrap("listing the signing keys", err)
	}
	keys := make(domain.SigningKeys, len(rows))
	for i, row := range rows {
		keys[i] = domain.RestoreSigningKey(domain.SigningKeyState{
			ID:           row.ID,
			Algorithm:    domain.SigningAlgorithm(row.Algorithm),
			EncryptedKey: row.Sealed,
			CreatedAt:    timeOf(row.CreatedAt),
			SignsFrom:    timeOf(row.SignsFrom),
		})
	}
	return keys, nil
}

func (k signingKeys) Remove(ctx context.Context, id string) error {
	if err := k.queries.RemoveSigningKey(ctx, id); err != nil {
		return wrap("removing a signing key", err)
	}
	return nil
}
