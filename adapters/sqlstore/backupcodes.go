package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/keylodge/keylodge/db/column"
	"github.com/keylodge/keylodge/domain"
)

type backupCodes struct{ collection }

func (b backupCodes) Replace(ctx context.Context, user domain.UserID, set []domain.BackupCodeDigest, now time.Time) error {
	if err := b.q.RemoveBackupCodeSet(ctx, user.String()); err != nil {
		return b.wrap("removing a user's backup codes", err)
	}
	if err := b.q.AddBackupCodeSet(ctx, user.String(), column.Time{Time: now}); err != nil {
		return b.wrap("adding a set of backup codes", err)
	}
	for _, digest := range set {
		if err := b.q.AddBackupCode(ctx, digest[:], user.String()); err != nil {
			return b.wrap("adding a backup code", err)
		}
	}
	return nil
}

func (b backupCodes) Count(ctx context.Context, user domain.UserID) (int, time.Time, error) {
	row, err := b.q.CountBackupCodes(ctx, user.String())
	return int(row.Unused), row.CreatedAt.Time, b.wrapNotFound("counting a user's backup codes", err, nil)
}

func (b backupCodes) List(ctx context.Context, user domain.UserID) ([]domain.BackupCodeDigest, error) {
	digests, err := b.q.ListBackupCodes(ctx, user.String())
	if err != nil {
		return nil, b.wrap("listing a user's backup codes", err)
	}
	var d decoder
	unused := make([]domain.BackupCodeDigest, len(digests))
	for i, digest := range digests {
		d.bytes("digest", unused[i][:], digest)
	}
	return unused, d.err
}

func (b backupCodes) FindOwner(ctx context.Context, digests []domain.BackupCodeDigest) (domain.UserID, domain.BackupCodeDigest, error) {
	for _, digest := range digests {
		owner, err := b.q.FindBackupCodeOwner(ctx, digest[:])
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err != nil {
			return domain.UserID{}, domain.BackupCodeDigest{}, b.wrap("looking up a backup code", err)
		}
		var d decoder
		return parseID(&d, "user_id", owner, domain.ParseUserID), digest, d.err
	}
	return domain.UserID{}, domain.BackupCodeDigest{}, domain.ErrInvalidCode
}

func (b backupCodes) Consume(ctx context.Context, digest domain.BackupCodeDigest) error {
	consumed, err := b.q.ConsumeBackupCode(ctx, digest[:])
	return b.affected("consuming a backup code", consumed, err, domain.ErrInvalidCode)
}
