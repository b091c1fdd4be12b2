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

func (b backupCodes) Replace(_ context.Context, user domain.UserID, set []domain.CodeDigest, now time.Time) error {
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

func (b backupCodes) Stock(_ context.Context, user domain.UserID) (left int, made time.Time, err error) {
	for _, owner := range b.backupCodes {
		if owner == user {
			left++
		}
	}
	return left, b.backupCodeSets[user], nil
}

func (b backupCodes) Of(_ context.Context, user domain.UserID) ([]domain.CodeDigest, error) {
	unspent := []domain.CodeDigest{}
	for digest, owner := range b.backupCodes {
		if owner == user {
			unspent = append(unspent, digest)
		}
	}
	return unspent, nil
}

func (b backupCodes) Owner(_ context.Context, digests []domain.CodeDigest) (domain.UserID, domain.CodeDigest, error) {
	for _, digest := range digests {
		if owner, found := b.backupCodes[digest]; found {
			return owner, digest, nil
		}
	}
	return domain.UserID{}, domain.CodeDigest{}, domain.ErrInvalidCode
}

func (b backupCodes) Spend(_ context.Context, digest domain.CodeDigest) error {
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
	maps.DeleteFunc(s.backupCodes, func(_ domain.CodeDigest, owner domain.UserID) bool { return owner == user })
}
