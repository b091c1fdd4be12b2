package application_test

import (
	"context"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

type (
	breakingTOTPs struct {
		ports.TOTPs
		*breaking
	}
	breakingCodes struct {
		ports.BackupCodes
		*breaking
	}
	breakingGrants struct {
		ports.Grants
		*breaking
	}
	breakingLockouts struct {
		ports.Lockouts
		*breaking
	}
)

func (t breakingTOTPs) Of(ctx context.Context, user domain.UserID) (*domain.TOTP, error) {
	return looking(t.breaking, func() (*domain.TOTP, error) { return t.TOTPs.Of(ctx, user) })
}

func (t breakingTOTPs) Save(ctx context.Context, app *domain.TOTP) error {
	return asking(t.breaking, func() error { return t.TOTPs.Save(ctx, app) })
}

func (t breakingTOTPs) Remove(ctx context.Context, user domain.UserID) error {
	return asking(t.breaking, func() error { return t.TOTPs.Remove(ctx, user) })
}

func (c breakingCodes) Replace(ctx context.Context, user domain.UserID, set []domain.CodeDigest, now time.Time) error {
	return asking(c.breaking, func() error { return c.BackupCodes.Replace(ctx, user, set, now) })
}

func (c breakingCodes) Stock(ctx context.Context, user domain.UserID) (left int, made time.Time, err error) {
	err = asking(c.breaking, func() error {
		left, made, err = c.BackupCodes.Stock(ctx, user)
		return err
	})
	return left, made, err
}

func (c breakingCodes) Owner(ctx context.Context, digests []domain.CodeDigest) (owner domain.UserID, found domain.CodeDigest, err error) {
	err = asking(c.breaking, func() error {
		owner, found, err = c.BackupCodes.Owner(ctx, digests)
		return err
	})
	return owner, found, err
}

func (c breakingCodes) Spend(ctx context.Context, digest domain.CodeDigest) error {
	return asking(c.breaking, func() error { return c.BackupCodes.Spend(ctx, digest) })
}

func (g breakingGrants) Put(ctx context.Context, grant *domain.Grant) error {
	return asking(g.breaking, func() error { return g.Grants.Put(ctx, grant) })
}

func (g breakingGrants) OfUser(ctx context.Context, user domain.UserID) (*domain.Grant, error) {
	return looking(g.breaking, func() (*domain.Grant, error) { return g.Grants.OfUser(ctx, user) })
}

func (g breakingGrants) ByToken(ctx context.Context, token domain.TokenDigest) (*domain.Grant, error) {
	return looking(g.breaking, func() (*domain.Grant, error) { return g.Grants.ByToken(ctx, token) })
}

func (g breakingGrants) Take(ctx context.Context, token domain.TokenDigest) (*domain.Grant, error) {
	return looking(g.breaking, func() (*domain.Grant, error) { return g.Grants.Take(ctx, token) })
}

func (g breakingGrants) Sweep(ctx context.Context, expired time.Time, limit int) (int, error) {
	return looking(g.breaking, func() (int, error) { return g.Grants.Sweep(ctx, expired, limit) })
}

func (l breakingLockouts) Of(ctx context.Context, subject domain.LockoutSubject) (*domain.Lockout, error) {
	return looking(l.breaking, func() (*domain.Lockout, error) { return l.Lockouts.Of(ctx, subject) })
}

func (l breakingLockouts) Save(ctx context.Context, lockout *domain.Lockout) error {
	return asking(l.breaking, func() error { return l.Lockouts.Save(ctx, lockout) })
}

func (l breakingLockouts) Clear(ctx context.Context, subject domain.LockoutSubject) error {
	return asking(l.breaking, func() error { return l.Lockouts.Clear(ctx, subject) })
}

func (l breakingLockouts) Sweep(ctx context.Context, before time.Time, limit int) (int, error) {
	return looking(l.breaking, func() (int, error) { return l.Lockouts.Sweep(ctx, before, limit) })
}
