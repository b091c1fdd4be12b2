package storetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Cases of: adapters/postgres.TestContract/BackupCodes, adapters/sqlite.TestContract/BackupCodes
var backupCodes = rules{
	"a set is stored with the owner of each code": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"), user("ben"))
		replaceCodes(t, store, "ada", codes("ada"), hour(24))
		replaceCodes(t, store, "ben", codes("ben")[:3], hour(25))
		wantCodeCount(t, store, "ada", domain.BackupCodeCount, hour(24))
		wantCodeCount(t, store, "ben", 3, hour(25))
		wantCodeOwner(t, store, "ada", codes("ada")...)
		wantCodeOwner(t, store, "ben", codes("ben")[:3]...)
		wantCodes(t, store, "ada", codes("ada")...)
		wantCodes(t, store, "ben", codes("ben")[:3]...)
	},

	"a user without a set has no codes": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"), user("ben"))
		replaceCodes(t, store, "ben", codes("ben"), hour(24))
		wantCodeCount(t, store, "ada", 0, time.Time{})
		wantNoCodeOwner(t, store, codes("ada")...)
		wantCodes(t, store, "ada")
		wantCodes(t, store, "unknown")
		_, _, err := codeOwner(t, store)
		wantError(t, err, domain.ErrInvalidCode)
		wantError(t, consumeCode(t, store, codes("ada")[0]), domain.ErrInvalidCode)
		wantCodeCount(t, store, "ben", domain.BackupCodeCount, hour(24))
	},

	"a code is found under any of its digests": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"))
		replaceCodes(t, store, "ada", codes("ada"), hour(24))
		stored, unknown := codes("ada")[4], codes("unknown")
		for _, digests := range [][]domain.BackupCodeDigest{{stored, unknown[0]}, {unknown[0], stored}, {unknown[0], stored, unknown[1]}} {
			id, found, err := codeOwner(t, store, digests...)
			if err != nil || id != userID("ada") || found != stored {
				t.Fatalf("got %v, %x, %v; want Ada's code", id, found, err)
			}
		}
		_, _, err := codeOwner(t, store, unknown...)
		wantError(t, err, domain.ErrInvalidCode)
	},

	"digests are compared byte for byte": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"))
		odd := []domain.BackupCodeDigest{{}, {0: 'a'}, {0: 'A'}, {31: 1}, {0: 0xff, 1: 0xc3, 31: 0xfe}}
		replaceCodes(t, store, "ada", odd, hour(24))
		wantCodeOwner(t, store, "ada", odd...)
		wantNoCodeOwner(t, store, domain.BackupCodeDigest{31: 2})
		wantError(t, consumeCode(t, store, domain.BackupCodeDigest{0: 'a'}), nil)
		wantNoCodeOwner(t, store, domain.BackupCodeDigest{0: 'a'})
		wantCodeOwner(t, store, "ada", domain.BackupCodeDigest{}, domain.BackupCodeDigest{0: 'A'})
	},

	"a consumed code is removed, and a set without codes remains": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"))
		set := codes("ada")
		replaceCodes(t, store, "ada", set, hour(24))
		for i, digest := range set {
			wantError(t, consumeCode(t, store, digest), nil)
			wantError(t, consumeCode(t, store, digest), domain.ErrInvalidCode)
			wantCodeCount(t, store, "ada", len(set)-i-1, hour(24))
			wantNoCodeOwner(t, store, set[:i+1]...)
			wantCodeOwner(t, store, "ada", set[i+1:]...)
			wantCodes(t, store, "ada", set[i+1:]...)
		}
	},

	"a new set replaces the previous one": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"), user("ben"))
		replaceCodes(t, store, "ada", codes("previous"), hour(24))
		replaceCodes(t, store, "ben", codes("ben"), hour(24))
		wantError(t, consumeCode(t, store, codes("previous")[0]), nil)
		replaceCodes(t, store, "ada", codes("new"), hour(25))
		wantCodeCount(t, store, "ada", domain.BackupCodeCount, hour(25))
		wantCodeOwner(t, store, "ada", codes("new")...)
		wantNoCodeOwner(t, store, codes("previous")...)
		wantCodes(t, store, "ada", codes("new")...)
		wantCodeCount(t, store, "ben", domain.BackupCodeCount, hour(24))
		wantCodeOwner(t, store, "ben", codes("ben")...)
	},

	"a duplicate digest is rejected": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"), user("ben"))
		replaceCodes(t, store, "ada", codes("ada"), hour(24))
		replaceCodes(t, store, "ben", codes("ben"), hour(24))
		for name, set := range map[string][]domain.BackupCodeDigest{
			"in two sets":      {codes("new")[0], codes("ada")[9]},
			"twice in one set": {codes("new")[0], codes("new")[1], codes("new")[0]},
		} {
			err := store.Update(t.Context(), func(tx ports.Tx) error {
				return tx.BackupCodes.Replace(t.Context(), userID("ben"), set, hour(25))
			})
			if err == nil {
				t.Fatalf("a digest was stored %s", name)
			}
			wantCodeOwner(t, store, "ada", codes("ada")...)
			wantCodeOwner(t, store, "ben", codes("ben")...)
			wantCodeCount(t, store, "ben", domain.BackupCodeCount, hour(24))
		}
	},

	// Requirement: ASVS-6.5.1
	"of concurrent callers that consume one code, one succeeds and its writes are committed": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"))
		replaceCodes(t, store, "ada", codes("ada"), hour(24))
		key := func(i int) string { return fmt.Sprint("key", i) }
		won := wantOneWinner(t, concurrently(concurrentCallers, func(i int) error {
			return store.Update(t.Context(), func(tx ports.Tx) error {
				if err := addCredential(t.Context(), tx, credential("ada", key(i))); err != nil {
					return err
				}
				return tx.BackupCodes.Consume(t.Context(), codes("ada")[0])
			})
		}), domain.ErrInvalidCode)
		wantCodeCount(t, store, "ada", domain.BackupCodeCount-1, hour(24))
		stored, err := credentialsOf(t, store, "ada")
		wantList(t, stored, err, credential("ada", key(won)))
	},

	"of concurrent callers that replace a set, the set of one remains": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"))
		tag := func(i int) string { return fmt.Sprint("set", i) }
		for _, err := range concurrently(concurrentCallers, func(i int) error {
			return store.Update(t.Context(), func(tx ports.Tx) error {
				return tx.BackupCodes.Replace(t.Context(), userID("ada"), codes(tag(i)), hour(24))
			})
		}) {
			wantError(t, err, nil)
		}
		wantCodeCount(t, store, "ada", domain.BackupCodeCount, hour(24))
		for i := range concurrentCallers {
			if _, _, err := codeOwner(t, store, codes(tag(i))[0]); err == nil {
				wantCodeOwner(t, store, "ada", codes(tag(i))...)
			}
		}
	},

	"Replace keeps no reference to its argument": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"))
		given := codes("ada")
		update(t, store, func(ctx context.Context, tx ports.Tx) error {
			return tx.BackupCodes.Replace(ctx, userID("ada"), given, hour(24))
		})
		clear(given)
		wantCodeOwner(t, store, "ada", codes("ada")...)
	},
}

func consumeCode(t *testing.T, store ports.Store, digest domain.BackupCodeDigest) error {
	t.Helper()
	return store.Update(t.Context(), func(tx ports.Tx) error { return tx.BackupCodes.Consume(t.Context(), digest) })
}
