package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/keylodge/keylodge/db/sqlitedb"
	"github.com/keylodge/keylodge/domain"
)

type backupCodes struct{ queries *sqlitedb.Queries }

func (b backupCodes) Replace(ctx context.Context, user domain.UserID, set []domain.BackupCodeDigest, now time.Time) error {
	ctx = context.WithoutCancel(ctx)
	if err := b.queries.RemoveBackupCodeSet(ctx, user.String()); err != nil {
		return wrap("removing a user's backup codes", err)
	}
	if err := b.queries.AddBackupCodeSet(ctx, sqlitedb.AddBackupCodeSetParams{UserID: user.String(), MadeAt: micros(now)}); err != nil {
		return wrap("adding a set of backup codes", err)
	}
	for _, digest := range set {
		if err := b.queries.AddBackupCode(ctx, sqlitedb.AddBackupCodeParams{Digest: digest[:], UserID: user.String()}); err != nil {
			return wrap("adding a backup code", err)
		}
	}
	return nil
}

func (b backupCodes) Count(ctx context.Context, user domain.UserID) (int, time.Time, error) {
	row, err := b.queries.BackupCodeStock(context.WithoutCancel(ctx), user.String())
	if errors.Is(err, sql.ErrNoRows) {
		return 0, time.Time{}, nil
	}
	if err != nil {
		return 0, time.Time{}, wrap("counting a user's backup codes", err)
	}
	return int(row.Unspent), timeOf(row.MadeAt), nil
}

func (b backupCodes) List(ctx context.Context, user domain.UserID) ([]domain.BackupCodeDigest, error) {
	columns, err := b.queries.BackupCodesOfUser(context.WithoutCancel(ctx), user.String())
	if err != nil {
		return nil, wrap("listing a user's backup codes", err)
	}
	unspent := make([]domain.BackupCodeDigest, len(columns))
	for i, column := range columns {
		if err := fixedBytes(unspent[i][:], column); err != nil {
			return nil, fmt.Errorf("reading a backup code's digest: %w", err)
		}
	}
	return unspent, nil
}

func (b backupCodes) FindOwner(ctx context.Context, digests []domain.BackupCodeDigest) (domain.UserID, domain.BackupCodeDigest, error) {
	for _, digest := range digests {
		owner, err := b.queries.OwnerOfBackupCode(context.WithoutCancel(ctx), digest[:])
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err != nil {
			return domain.UserID{}, domain.BackupCodeDigest{}, wrap("looking up a backup code", err)
		}
		id, err := domain.ParseUserID(owner)
		if err != nil {
			return domain.UserID{}, domain.BackupCodeDigest{}, fmt.Errorf("reading a backup code's user: %w", err)
		}
		return id, digest, nil
	}
	return domain.UserID{}, domain.BackupCodeDigest{}, domain.ErrInvalidCode
}

func (b backupCodes) Consume(ctx context.Context, digest domain.BackupCodeDigest) error {
	spent, err := b.queries.SpendBackupCode(context.WithoutCancel(ctx), digest[:])
	if err != nil {
		return wrap("spending a backup code", err)
	}
	if spent == 0 {
		return domain.ErrInvalidCode
	}
	return nil
}
