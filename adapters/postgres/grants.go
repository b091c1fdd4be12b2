package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/keylodge/keylodge/db/postgresdb"
	"github.com/keylodge/keylodge/domain"
)

type grants struct{ queries *postgresdb.Queries }

// Put removes and adds instead of writing over the former grant, so that what is bound to that one goes with it.
func (g grants) Put(ctx context.Context, grant *domain.Grant) error {
	s := grant.Snapshot()
	if err := g.queries.RemoveGrantOfUser(ctx, s.UserID.String()); err != nil {
		return fault("removing a user's former grant", err)
	}
	err := g.queries.AddGrant(ctx, postgresdb.AddGrantParams{
		UserID:      s.UserID.String(),
		TokenDigest: s.Token[:],
		Nonce:       s.Nonce,
		CodeDigest:  optionalDigest(s.Code),
		Factors:     textList(s.By),
		CreatedAt:   s.CreatedAt,
		ExpiresAt:   s.ExpiresAt,
	})
	if err != nil {
		return fault("putting a grant", err)
	}
	return nil
}

func (g grants) OfUser(ctx context.Context, user domain.UserID) (*domain.Grant, error) {
	row, err := g.queries.GrantOfUser(ctx, user.String())
	if err != nil {
		return nil, lookupFault("looking up a user's grant", err, domain.ErrInvalidGrant)
	}
	return grantOf(row)
}

func (g grants) ByToken(ctx context.Context, token domain.TokenDigest) (*domain.Grant, error) {
	row, err := g.queries.GrantByToken(ctx, token[:])
	if err != nil {
		return nil, lookupFault("looking up a grant", err, domain.ErrInvalidGrant)
	}
	return grantOf(row)
}

func (g grants) Remove(ctx context.Context, user domain.UserID) error {
	if err := g.queries.RemoveGrantOfUser(ctx, user.String()); err != nil {
		return fault("removing a user's grant", err)
	}
	return nil
}

func (g grants) Take(ctx context.Context, token domain.TokenDigest) (*domain.Grant, error) {
	row, err := g.queries.TakeGrant(ctx, token[:])
	if err != nil {
		return nil, lookupFault("taking a grant", err, domain.ErrInvalidGrant)
	}
	return grantOf(row)
}

func (g grants) Sweep(ctx context.Context, expired time.Time, limit int) (int, error) {
	swept, err := g.queries.SweepGrants(ctx, postgresdb.SweepGrantsParams{Expired: expired, UpTo: int64(limit)})
	if err != nil {
		return 0, fault("sweeping grants", err)
	}
	return int(swept), nil
}

func grantOf(row postgresdb.RecoveryGrant) (*domain.Grant, error) {
	userID, err := domain.ParseUserID(row.UserID)
	if err != nil {
		return nil, fmt.Errorf("reading a grant's user: %w", err)
	}
	s := domain.GrantSnapshot{
		UserID:    userID,
		Nonce:     row.Nonce,
		By:        listOf[domain.RecoveryFactor](row.Factors),
		CreatedAt: timeOf(row.CreatedAt),
		ExpiresAt: timeOf(row.ExpiresAt),
	}
	if err := fixedBytes(s.Token[:], row.TokenDigest); err != nil {
		return nil, fmt.Errorf("reading a grant's token digest: %w", err)
	}
	if err := optionalBytes(s.Code[:], row.CodeDigest); err != nil {
		return nil, fmt.Errorf("reading a grant's backup code: %w", err)
	}
	return domain.RestoreGrant(s), nil
}
