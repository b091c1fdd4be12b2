package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keylodge/keylodge/db/postgresdb"
	"github.com/keylodge/keylodge/domain"
)

type lockouts struct{ queries *postgresdb.Queries }

func (l lockouts) Get(ctx context.Context, subject domain.LockoutSubject) (*domain.Lockout, error) {
	row, err := l.queries.LockoutOfSubject(ctx, subject[:])
	if errors.Is(err, pgx.ErrNoRows) {
		return domain.NewLockout(subject), nil
	}
	if err != nil {
		return nil, wrap("looking up a lockout", err)
	}
	return lockoutOf(row)
}

func (l lockouts) List(ctx context.Context, after domain.LockoutSubject, limit int) ([]*domain.Lockout, error) {
	rows, err := l.queries.LockoutsAfter(ctx, postgresdb.LockoutsAfterParams{After: after[:], UpTo: int64(limit)})
	if err != nil {
		return nil, wrap("listing lockouts", err)
	}
	return restoreAll(rows, lockoutOf)
}

func (l lockouts) Save(ctx context.Context, lockout *domain.Lockout) error {
	s := lockout.State()
	err := l.queries.SaveLockout(ctx, postgresdb.SaveLockoutParams{
		Subject:     s.Subject[:],
		Failures:    int64(s.Failures),
		LockedUntil: optionalTimestamp(s.LockedUntil),
		UpdatedAt:   s.UpdatedAt,
	})
	if err != nil {
		return wrap("saving a lockout", err)
	}
	return nil
}

func (l lockouts) Clear(ctx context.Context, subject domain.LockoutSubject) error {
	if err := l.queries.ClearLockout(ctx, subject[:]); err != nil {
		return wrap("clearing a lockout", err)
	}
	return nil
}

func (l lockouts) DeleteExpired(ctx context.Context, before time.Time, limit int) (int, error) {
	swept, err := l.queries.SweepLockouts(ctx, postgresdb.SweepLockoutsParams{
		Before: before, UpTo: int64(limit),
	})
	if err != nil {
		return 0, wrap("sweeping lockouts", err)
	}
	return int(swept), nil
}

func lockoutOf(row postgresdb.RecoveryLockout) (*domain.Lockout, error) {
	s := domain.LockoutState{
		Failures:    int(row.Failures),
		LockedUntil: optionalTime(row.LockedUntil),
		UpdatedAt:   timeOf(row.UpdatedAt),
	}
	if err := fixedBytes(s.Subject[:], row.Subject); err != nil {
		return nil, fmt.Errorf("reading a lockout's subject: %w", err)
	}
	return domain.RestoreLockout(s), nil
}
