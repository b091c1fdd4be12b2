package sqlstore

import (
	"context"
	"time"

	"github.com/keylodge/keylodge/db/column"
	"github.com/keylodge/keylodge/db/sqlitedb"
	"github.com/keylodge/keylodge/domain"
)

type recoveryGrants struct{ collection }

// Put deletes and adds instead of updating the previous grant, so that the challenges of the previous one are deleted with it.
func (g recoveryGrants) Put(ctx context.Context, grant *domain.RecoveryGrant) error {
	s := grant.State()
	if err := g.Remove(ctx, s.UserID); err != nil {
		return err
	}
	return g.wrap("adding a recovery grant", g.q.AddRecoveryGrant(ctx, sqlitedb.AddRecoveryGrantParams{
		UserID:           s.UserID.String(),
		TokenDigest:      s.Token[:],
		Nonce:            s.Nonce,
		BackupCodeDigest: optionalDigest(s.BackupCode),
		Factors:          stringsOf(s.Factors),
		CreatedAt:        column.Time{Time: s.CreatedAt},
		ExpiresAt:        column.Time{Time: s.ExpiresAt},
	}))
}

func (g recoveryGrants) ByUser(ctx context.Context, user domain.UserID) (*domain.RecoveryGrant, error) {
	row, err := g.q.RecoveryGrantByUser(ctx, user.String())
	if err != nil {
		return nil, g.wrapNotFound("looking up a user's recovery grant", err, domain.ErrRecoveryGrantInvalid)
	}
	return recoveryGrantOf(row)
}

func (g recoveryGrants) ByToken(ctx context.Context, token domain.TokenDigest) (*domain.RecoveryGrant, error) {
	row, err := g.q.RecoveryGrantByToken(ctx, token[:])
	if err != nil {
		return nil, g.wrapNotFound("looking up a recovery grant", err, domain.ErrRecoveryGrantInvalid)
	}
	return recoveryGrantOf(row)
}

func (g recoveryGrants) Remove(ctx context.Context, user domain.UserID) error {
	return g.wrap("removing a user's recovery grant", g.q.RemoveRecoveryGrant(ctx, user.String()))
}

func (g recoveryGrants) Take(ctx context.Context, token domain.TokenDigest) (*domain.RecoveryGrant, error) {
	row, err := g.q.TakeRecoveryGrant(ctx, token[:])
	if err != nil {
		return nil, g.wrapNotFound("taking a recovery grant", err, domain.ErrRecoveryGrantInvalid)
	}
	return recoveryGrantOf(row)
}

func (g recoveryGrants) DeleteExpired(ctx context.Context, expired time.Time, limit int) (int, error) {
	deleted, err := g.q.DeleteExpiredRecoveryGrants(ctx, column.Time{Time: expired}, int64(limit))
	return int(deleted), g.wrap("deleting expired recovery grants", err)
}

func recoveryGrantOf(row sqlitedb.RecoveryGrant) (*domain.RecoveryGrant, error) {
	var d decoder
	s := domain.RecoveryGrantState{
		UserID:    parseID(&d, "user_id", row.UserID, domain.ParseUserID),
		Nonce:     row.Nonce,
		Factors:   listOf[domain.RecoveryFactor](row.Factors),
		CreatedAt: row.CreatedAt.Time,
		ExpiresAt: row.ExpiresAt.Time,
	}
	d.bytes("token_digest", s.Token[:], row.TokenDigest)
	d.bytes("backup_code_digest", s.BackupCode[:], row.BackupCodeDigest)
	return restore(d, "recovery grant", s, domain.RestoreRecoveryGrant)
}
