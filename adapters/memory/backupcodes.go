package memory

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/keylodge/keylodge/domain"
)

type backupCodes struct{ state }

func (b backupCodes) Replace(_ context.Context, user domain.UserID, set []domain.BackupCodeDigest, now time.Time) error {
	if err := b.writable(); err != nil {
		return err
	}
	if _, found := b.users[user]; !found {
		return fmt.Errorf("the backup codes' user %s is not there", user)
	}
	b.removeBackupCodes(user)
	b.backupCodeSets[user] = now
	for _, digest := range set {
		if _, found := b.backupCodes[digest]; found {
			return errors.New("there is a backup code of the same digest already")
		}
		b.backupCodes[digest] = user
	}
	return nil
}

func (b backupCodes) Count(_ context.Context, user domain.UserID) (left int, made time.Time, err error) {
	for _, owner := range b.backupCodes {
		if owner == user {
			left++
		}
	}
	return left, b.backupCodeSets[user], nil
}

func (b backupCodes) List(_ context.Context, user domain.UserID) ([]domain.BackupCodeDigest, error) {
	unspent := []domain.BackupCodeDigest{}
	for digest, owner := range b.backupCodes {
		if owner == user {
			unspent = append(unspent, digest)
		}
	}
	return unspent, nil
}

func (b backupCodes) FindOwner(_ context.Context, digests []domain.BackupCodeDigest) (domain.UserID, domain.BackupCodeDigest, error) {
	for _, digest := range digests {
		if owner, found := b.backupCodes[digest]; found {
			return owner, digest, nil
		}
	}
	return domain.UserID{}, domain.BackupCodeDigest{}, domain.ErrInvalidCode
}

func (b backupCodes) Consume(_ context.Context, digest domain.BackupCodeDigest) error {
	if err := b.writable(); err != nil {
		return err
	}
	if _, found := b.backupCodes[digest]; !found {
		return domain.ErrInvalidCode
	}
	delete(b.backupCodes, digest)
	return nil
}

func (s state) removeBackupCodes(user domain.UserID) {
	delete(s.backupCodeSets, user)
	maps.DeleteFunc(s.backupCodes, func(_ domain.BackupCodeDigest, owner domain.UserID) bool { return owner == user })
}
