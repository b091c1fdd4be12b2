package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/keylodge/keylodge/db/sqlitedb"
	"github.com/keylodge/keylodge/domain"
)

type grants struct{ queries *sqlitedb.Queries }

// Put removes and adds instead of writing over the former grant, so that what is bound to that one goes with it.
func (g grants) Put(ctx context.Context, grant *domain.Grant) error {
	ctx = context.WithoutCancel(ctx)
	s := grant.Snapshot()
	factors, err := listText(s.By)
	if err != nil {
		return fmt.Errorf("putting a grant: %w", err)
	}
	if err := g.queries.RemoveGrantOfUser(ctx, s.UserID.String()); err != nil {
		return fault("removing a user's former grant", err)
	}
	err = g.queries.AddGrant(ctx, sqlitedb.AddGrantParams{
		UserID:      s.UserID.String(),
		TokenDigest: s.Token[:],
		Nonce:       s.Nonce,
		CodeDigest:  optionalDigest(s.Code),
		Factors:     factors,
		CreatedAt:   micros(s.CreatedAt),
		ExpiresAt:   micros(s.ExpiresAt),
	})
	if err != nil {
		return fault("putting a grant", err)
	}
	return nil
}

func (g grants) OfUser(ctx context.Context, user domain.UserID) (*domain.Grant, error) {
	row, err := g.queries.GrantOfUser(context.WithoutCancel(ctx), user.String())
	if err != nil {
		return nil, lookupFault("looking up a user's grant", err, domain.ErrInvalidGrant)
	}
	return grantOf(row)
}

func (g grants) ByToken(ctx context.Context, token domain.TokenDigest) (*domain.Grant, error) {
	row, err := g.queries.GrantByToken(context.WithoutCancel(ctx), token[:])
	if err != nil {
		return nil, lookupFault("looking up a grant", err, domain.ErrInvalidGrant)
	}
	return grantOf(row)
}

func (g grants) Remove(ctx context.Context, user domain.UserID) error {
	if err := g.queries.RemoveGrantOfUser(context.WithoutCancel(ctx), user.String()); err != nil {
		return fault("removing a user's grant", err)
	}
	return nil
}

func (g grants) Take(ctx context.Context, token domain.TokenDigest) (*domain.Grant, error) {
	row, err := g.queries.TakeGrant(context.WithoutCancel(ctx), token[:])
	if err != nil {
		return nil, lookupFault("taking a grant", err, domain.ErrInvalidGrant)
	}
	return grantOf(row)
}

func (g grants) Sweep(ctx context.Context, expired time.Time, limit int) (int, error) {
	swept, err := g.queries.SweepGrants(context.WithoutCancel(ctx), sqlitedb.SweepGrantsParams{Expired: micros(expired), UpTo: int64(limit)})
	if err != nil {
		return 0, fault("sweeping grants", err)
	}
	return int(swept), nil
}

func grantOf(row sqlitedb.RecoveryGrant) (*domain.Grant, error) {
	userID, err := domain.ParseUserID(row.UserID)
	if err != nil {
		return nil, fmt.Errorf("reading a grant's user: %w", err)
	}
	factors, err := listOf[domain.RecoveryFactor](row.Factors)
	if err != nil {
		return nil, fmt.Errorf("reading what a grant was bought with: %w", err)
	}
	s := domain.GrantSnapshot{
		UserID:    userID,
		Nonce:     row.Nonce,
		By:        factors,
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
