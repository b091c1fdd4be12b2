package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/keylodge/keylodge/db/sqlitedb"
	"github.com/keylodge/keylodge/domain"
)

type recoveryGrants struct{ queries *sqlitedb.Queries }

// Put removes and adds instead of writing over the former grant, so that what is bound to that one goes with it.
func (g recoveryGrants) Put(ctx context.Context, grant *domain.RecoveryGrant) error {
	ctx = context.WithoutCancel(ctx)
	s := grant.State()
	factors, err := encodeList(s.Factors)
	if err != nil {
		return fmt.Errorf("putting a grant: %w", err)
	}
	if err := g.queries.RemoveGrantOfUser(ctx, s.UserID.String()); err != nil {
		return wrap("removing a user's former grant", err)
	}
	err = g.queries.AddGrant(ctx, sqlitedb.AddGrantParams{
		UserID:      s.UserID.String(),
		TokenDigest: s.Token[:],
		Nonce:       s.Nonce,
		CodeDigest:  optionalDigest(s.BackupCode),
		Factors:     factors,
		CreatedAt:   micros(s.CreatedAt),
		ExpiresAt:   micros(s.ExpiresAt),
	})
	if err != nil {
		return wrap("putting a grant", err)
	}
	return nil
}

func (g recoveryGrants) ByUser(ctx context.Context, user domain.UserID) (*domain.RecoveryGrant, error) {
	row, err := g.queries.GrantOfUser(context.WithoutCancel(ctx), user.String())
	if err != nil {
		return nil, wrapNotFound("looking up a user's grant", err, domain.ErrRecoveryGrantInvalid)
	}
	return recoveryGrantOf(row)
}

func (g recoveryGrants) ByToken(ctx context.Context, token domain.TokenDigest) (*domain.RecoveryGrant, error) {
	row, err := g.queries.GrantByToken(context.WithoutCancel(ctx), token[:])
	if err != nil {
		return nil, wrapNotFound("looking up a grant", err, domain.ErrRecoveryGrantInvalid)
	}
	return recoveryGrantOf(row)
}

func (g recoveryGrants) Remove(ctx context.Context, user domain.UserID) error {
	if err := g.queries.RemoveGrantOfUser(context.WithoutCancel(ctx), user.String()); err != nil {
		return wrap("removing a user's grant", err)
	}
	return nil
}

func (g recoveryGrants) Take(ctx context.Context, token domain.TokenDigest) (*domain.RecoveryGrant, error) {
	row, err := g.queries.TakeGrant(context.WithoutCancel(ctx), token[:])
	if err != nil {
		return nil, wrapNotFound("taking a grant", err, domain.ErrRecoveryGrantInvalid)
	}
	return recoveryGrantOf(row)
}

func (g recoveryGrants) DeleteExpired(ctx context.Context, expired time.Time, limit int) (int, error) {
	swept, err := g.queries.SweepGrants(context.WithoutCancel(ctx), sqlitedb.SweepGrantsParams{Expired: micros(expired), UpTo: int64(limit)})
	if err != nil {
		return 0, wrap("sweeping grants", err)
	}
	return int(swept), nil
}

func recoveryGrantOf(row sqlitedb.RecoveryGrant) (*domain.RecoveryGrant, error) {
	userID, err := domain.ParseUserID(row.UserID)
	if err != nil {
		return nil, fmt.Errorf("reading a grant's user: %w", err)
	}
	factors, err := decodeList[domain.RecoveryFactor](row.Factors)
	if err != nil {
		return nil, fmt.Errorf("reading what a grant was bought with: %w", err)
	}
	s := domain.RecoveryGrantState{
		UserID:    userID,
		Nonce:     row.Nonce,
		Factors:   factors,
		CreatedAt: timeOf(row.CreatedAt),
		ExpiresAt: timeOf(row.ExpiresAt),
	}
	if err := fixedBytes(s.Token[:], row.TokenDigest); err != nil {
		return nil, fmt.Errorf("reading a grant's token digest: %w", err)
	}
	if err := optionalBytes(s.BackupCode[:], row.CodeDigest); err != nil {
		return nil, fmt.Errorf("reading a grant's backup code: %w", err)
	}
	return domain.RestoreRecoveryGrant(s), nil
}
