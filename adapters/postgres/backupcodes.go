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

type backupCodes struct{ queries *postgresdb.Queries }

func (b backupCodes) Replace(ctx context.Context, user domain.UserID, set []domain.BackupCodeDigest, now time.Time) error {
	if err := b.queries.RemoveBackupCodeSet(ctx, user.String()); err != nil {
		return wrap("removing a user's backup codes", err)
	}
	if err := b.queries.AddBackupCodeSet(ctx, postgresdb.AddBackupCodeSetParams{UserID: user.String(), MadeAt: now}); err != nil {
		return wrap("adding a set of backup codes", err)
	}
	digests := make([][]byte, len(set))
	for i, digest := range set {
		digests[i] = digest[:]
	}
	if err := b.queries.AddBackupCodes(ctx, postgresdb.AddBackupCodesParams{Digests: digests, UserID: user.String()}); err != nil {
		return wrap("adding backup codes", err)
	}
	return nil
}

func (b backupCodes) Count(ctx context.Context, user domain.UserID) (int, time.Time, error) {
	row, err := b.queries.BackupCodeStock(ctx, user.String())
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, time.Time{}, nil
	}
	if err != nil {
		return 0, time.Time{}, wrap("counting a user's backup codes", err)
	}
	return int(row.Unspent), timeOf(row.MadeAt), nil
}

func (b backupCodes) List(ctx context.Context, user domain.UserID) ([]domain.BackupCodeDigest, error) {
	columns, err := b.queries.BackupCodesOfUser(ctx, user.String())
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
		owner, err := b.queries.OwnerOfBackupCode(ctx, digest[:])
		if errors.Is(err, pgx.ErrNoRows) {
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
	spent, err := b.queries.SpendBackupCode(ctx, digest[:])
	if err != nil {
		return wrap("spending a backup code", err)
	}
	if spent == 0 {
		return domain.ErrInvalidCode
	}
	return nil
}
