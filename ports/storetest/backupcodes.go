package storetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

var backupCodes = rules{
	"a set is kept, and whose each code is": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"), user("ben"))
		replaceCodes(t, store, "ada", codes("ada"), hour(24))
		replaceCodes(t, store, "ben", codes("ben")[:3], hour(25))
		wantStock(t, store, "ada", domain.BackupCodes, hour(24))
		wantStock(t, store, "ben", 3, hour(25))
		wantOwner(t, store, "ada", codes("ada")...)
		wantOwner(t, store, "ben", codes("ben")[:3]...)
		wantUnspent(t, store, "ada", codes("ada")...)
		wantUnspent(t, store, "ben", codes("ben")[:3]...)
	},

	"without a set there is nothing": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"), user("ben"))
		replaceCodes(t, store, "ben", codes("ben"), hour(24))
		wantStock(t, store, "ada", 0, time.Time{})
		wantNoOwner(t, store, codes("ada")...)
		wantUnspent(t, store, "ada")
		wantUnspent(t, store, "nobody")
		_, _, err := ownerOf(t, store)
		wantError(t, err, domain.ErrInvalidCode)
		wantError(t, spend(t, store, codes("ada")[0]), domain.ErrInvalidCode)
		wantStock(t, store, "ben", domain.BackupCodes, hour(24))
	},

	"a code is found under any of its digests": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"))
		replaceCodes(t, store, "ada", codes("ada"), hour(24))
		kept, unknown := codes("ada")[4], codes("unknown")
		for _, digests := range [][]domain.CodeDigest{{kept, unknown[0]}, {unknown[0], kept}, {unknown[0], kept, unknown[1]}} {
			id, found, err := ownerOf(t, store, digests...)
			if err != nil || id != userID("ada") || found != kept {
				t.Fatalf("got %v, %x, %v; want Ada's", id, found, err)
			}
		}
		_, _, err := ownerOf(t, store, unknown...)
		wantError(t, err, domain.ErrInvalidCode)
	},

	"digests are compared byte for byte": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"))
		odd := []domain.CodeDigest{{}, {0: 'a'}, {0: 'A'}, {31: 1}, {0: 0xff, 1: 0xc3, 31: 0xfe}}
		replaceCodes(t, store, "ada", odd, hour(24))
		wantOwner(t, store, "ada", odd...)
		wantNoOwner(t, store, domain.CodeDigest{31: 2})
		wantError(t, spend(t, store, domain.CodeDigest{0: 'a'}), nil)
		wantNoOwner(t, store, domain.CodeDigest{0: 'a'})
		wantOwner(t, store, "ada", domain.CodeDigest{}, domain.CodeDigest{0: 'A'})
	},

	"a code that was spent is gone, and a set that is used up is still one": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"))
		set := codes("ada")
		replaceCodes(t, store, "ada", set, hour(24))
		for i, digest := range set {
			wantError(t, spend(t, store, digest), nil)
			wantError(t, spend(t, store, digest), domain.ErrInvalidCode)
			wantStock(t, store, "ada", len(set)-i-1, hour(24))
			wantNoOwner(t, store, set[:i+1]...)
			wantOwner(t, store, "ada", set[i+1:]...)
			wantUnspent(t, store, "ada", set[i+1:]...)
		}
	},

	"a new set takes the place of what is left of the former one": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"), user("ben"))
		replaceCodes(t, store, "ada", codes("former"), hour(24))
		replaceCodes(t, store, "ben", codes("ben"), hour(24))
		wantError(t, spend(t, store, codes("former")[0]), nil)
		replaceCodes(t, store, "ada", codes("new"), hour(25))
		wantStock(t, store, "ada", domain.BackupCodes, hour(25))
		wantOwner(t, store, "ada", codes("new")...)
		wantNoOwner(t, store, codes("former")...)
		wantUnspent(t, store, "ada", codes("new")...)
		wantStock(t, store, "ben", domain.BackupCodes, hour(24))
		wantOwner(t, store, "ben", codes("ben")...)
	},

	"a digest is kept once": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"), user("ben"))
		replaceCodes(t, store, "ada", codes("ada"), hour(24))
		replaceCodes(t, store, "ben", codes("ben"), hour(24))
		for name, set := range map[string][]domain.CodeDigest{
			"in two sets":      {codes("new")[0], codes("ada")[9]},
			"twice in one set": {codes("new")[0], codes("new")[1], codes("new")[0]},
		} {
			err := store.Update(t.Context(), func(tx ports.Tx) error {
				return tx.BackupCodes.Replace(t.Context(), userID("ben"), set, hour(25))
			})
			if err == nil {
				t.Fatalf("it was kept %s", name)
			}
			wantOwner(t, store, "ada", codes("ada")...)
			wantOwner(t, store, "ben", codes("ben")...)
			wantStock(t, store, "ben", domain.BackupCodes, hour(24))
		}
	},

	"of many who spend one at once one does, and what the winner wrote holds": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"))
		replaceCodes(t, store, "ada", codes("ada"), hour(24))
		key := func(i int) string { return fmt.Sprint("key", i) }
		won := winner(t, atOnce(crowd, func(i int) error {
			return store.Update(t.Context(), func(tx ports.Tx) error {
				if err := tx.Credentials.Add(t.Context(), domain.RestoreCredential(credential("ada", key(i)))); err != nil {
					return err
				}
				return tx.BackupCodes.Spend(t.Context(), codes("ada")[0])
			})
		}), domain.ErrInvalidCode)
		wantStock(t, store, "ada", domain.BackupCodes-1, hour(24))
		kept, err := credentialsOf(t, store, "ada")
		wantList(t, kept, err, credential("ada", key(won)))
	},

	"of many who replace a set at once one's is left": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"))
		tag := func(i int) string { return fmt.Sprint("set", i) }
		for _, err := range atOnce(crowd, func(i int) error {
			return store.Update(t.Context(), func(tx ports.Tx) error {
				return tx.BackupCodes.Replace(t.Context(), userID("ada"), codes(tag(i)), hour(24))
			})
		}) {
			wantError(t, err, nil)
		}
		wantStock(t, store, "ada", domain.BackupCodes, hour(24))
		for i := range crowd {
			if _, _, err := ownerOf(t, store, codes(tag(i))[0]); err == nil {
				wantOwner(t, store, "ada", codes(tag(i))...)
			}
		}
	},

	"what was given may be used for something else": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"))
		given := codes("ada")
		update(t, store, func(ctx context.Context, tx ports.Tx) error {
			return tx.BackupCodes.Replace(ctx, userID("ada"), given, hour(24))
		})
		clear(given)
		wantOwner(t, store, "ada", codes("ada")...)
	},
}

func spend(t *testing.T, store ports.Store, digest domain.CodeDigest) error {
	t.Helper()
	return store.Update(t.Context(), func(tx ports.Tx) error { return tx.BackupCodes.Spend(t.Context(), digest) })
}
