package admin_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/sqlitestore"
	"github.com/keylodge/keylodge/adapters/masterkey"
	"github.com/keylodge/keylodge/application/admin"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Every second of 250 users has an authenticator app, encrypted in turn with the current, the previous and a lost secret. User
// 150 has the oldest set of backup codes with an unused code; the older set of user 10 is used up.
// Requirement: ASVS-13.3.1
func TestSecretUsage_CountsBySecret(t *testing.T) {
	var secrets []ports.Sealer
	for i := range 3 {
		raw := make([]byte, masterkey.Size)
		raw[0] = byte(i)
		key, err := masterkey.Parse(base64.StdEncoding.EncodeToString(raw))
		if err != nil {
			t.Fatal(err)
		}
		sealer, err := masterkey.NewSealer(key, nil)
		if err != nil {
			t.Fatal(err)
		}
		secrets = append(secrets, sealer)
	}
	encrypt := func(secret int, label string) []byte {
		encrypted, err := secrets[secret].Seal([]byte("secret"), label)
		if err != nil {
			t.Fatal(err)
		}
		return encrypted
	}
	store := sqlitestore.New(t)
	day := func(n int) time.Time { return noon.Add(time.Duration(n) * 24 * time.Hour) }
	err := store.Update(t.Context(), func(tx ports.Tx) (err error) {
		for i := range 250 {
			id, idErr := domain.ParseUserID(fmt.Sprintf("01930000-0000-7000-8000-%012x", i+1))
			err = errors.Join(err, idErr, tx.Users.Add(t.Context(), domain.RestoreUser(domain.UserState{ID: id, Handle: domain.UserHandle(fmt.Sprint(i)), CreatedAt: noon})))
			if i%2 == 0 {
				app := domain.TOTPState{UserID: id, Secret: encrypt(i/2%3, "totp "+id.String()), ConfirmedAt: noon}
				err = errors.Join(err, tx.TOTPs.Save(t.Context(), domain.RestoreTOTP(app)))
			} else {
				app := domain.TOTPState{UserID: id, PendingSecret: []byte("pending"), PendingAt: noon} // not counted
				err = errors.Join(err, tx.TOTPs.Save(t.Context(), domain.RestoreTOTP(app)))
			}
			codes := []domain.BackupCodeDigest{{byte(i), byte(i >> 8)}}
			switch i {
			case 10:
				err = errors.Join(err, tx.BackupCodes.Replace(t.Context(), id, codes, day(-100)), tx.BackupCodes.Consume(t.Context(), codes[0]))
			case 20, 240:
				err = errors.Join(err, tx.BackupCodes.Replace(t.Context(), id, codes, day(-i%7)))
			case 150:
				err = errors.Join(err, tx.BackupCodes.Replace(t.Context(), id, codes, day(-30)))
			}
		}
		for i, secret := range []int{0, 0, 1, 2} {
			key := domain.SigningKeyState{ID: fmt.Sprint(i), Algorithm: domain.SigningES256, CreatedAt: noon, SignsFrom: noon, EncryptedKey: encrypt(secret, "signing key "+fmt.Sprint(i))}
			err = errors.Join(err, tx.SigningKeys.Add(t.Context(), domain.RestoreSigningKey(key)))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, store := range map[string]ports.Store{"store": store, "store that retries": rereadingStore{store}} {
		usage, err := (&admin.Service{Store: store}).SecretUsage(t.Context(), secrets[:2])
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(usage.SigningKeys, []int{2, 1}) || usage.UndecryptableKeys != 1 || !slices.Equal(usage.TOTPs, []int{42, 42}) || usage.UndecryptableTOTPs != 41 || !usage.OldestBackupCodes.Equal(day(-30)) {
			t.Errorf("%s: %+v", name, usage)
		}
	}
}

// rereadingStore runs every View twice.
type rereadingStore struct{ ports.Store }

func (s rereadingStore) View(ctx context.Context, fn func(tx ports.Tx) error) error {
	return errors.Join(s.Store.View(ctx, fn), s.Store.View(ctx, fn))
}
