package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/keylodge/keylodge/db/column"
	"github.com/keylodge/keylodge/db/sqlitedb"
	"github.com/keylodge/keylodge/domain"
)

type lockouts struct{ collection }

func (l lockouts) Get(ctx context.Context, subject domain.LockoutSubject) (*domain.Lockout, error) {
	row, err := l.q.GetLockout(ctx, subject[:])
	if errors.Is(err, sql.ErrNoRows) {
		return domain.NewLockout(subject), nil
	}
	if err != nil {
		return nil, l.wrap("looking up a lockout", err)
	}
	return lockoutOf(row)
}

func (l lockouts) List(ctx context.Context, after domain.LockoutSubject, limit int) ([]*domain.Lockout, error) {
	rows, err := l.q.ListLockouts(ctx, after[:], int64(limit))
	if err != nil {
		return nil, l.wrap("listing lockouts", err)
	}
	return restoreAll(rows, lockoutOf)
}

func (l lockouts) Save(ctx context.Context, lockout *domain.Lockout) error {
	s := lockout.State()
	return l.wrap("saving a lockout", l.q.SaveLockout(ctx, sqlitedb.SaveLockoutParams{
		Subject:     s.Subject[:],
		Failures:    int64(s.Failures),
		LockedUntil: column.Time{Time: s.LockedUntil},
		UpdatedAt:   column.Time{Time: s.UpdatedAt},
	}))
}

func (l lockouts) Clear(ctx context.Context, subject domain.LockoutSubject) error {
	return l.wrap("clearing a lockout", l.q.ClearLockout(ctx, subject[:]))
}

func (l lockouts) DeleteExpired(ctx context.Context, before time.Time, limit int) (int, error) {
	deleted, err := l.q.DeleteExpiredLockouts(ctx, column.Time{Time: before}, int64(limit))
	return int(deleted), l.wrap("deleting expired lockouts", err)
}

func lockoutOf(row sqlitedb.RecoveryLockout) (*domain.Lockout, error) {
	var d decoder
	s := domain.LockoutState{
		Failures:    int(row.Failures),
		LockedUntil: row.LockedUntil.Time,
		UpdatedAt:   row.UpdatedAt.Time,
	}
	d.bytes("subject", s.Subject[:], row.Subject)
	return restore(d, "lockout", s, domain.RestoreLockout)
}
