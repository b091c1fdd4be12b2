package storetest

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

var credentials = rules{
	"every field is kept": func(t *testing.T, store ports.Store) {
		key := credential("ada", "key")
		wantComplete(t, key)
		addUsers(t, store, user("ada"))
		addCredentials(t, store, credential("ada", "other"), key)
		got, err := credentialByID(t, store, key.ID)
		wantSame(t, got, err, key)
	},

	"optional fields stay empty": func(t *testing.T, store ports.Store) {
		key := unused(credential("ada", "key"))
		key.Name, key.Attachment, key.Transports, key.AAGUID, key.Extensions = "", "", nil, [16]byte{}, nil
		addUsers(t, store, user("ada"))
		addCredentials(t, store, key)
		got, err := credentialByID(t, store, key.ID)
		wantSame(t, got, err, key)
	},

	"ids are compared byte for byte": func(t *testing.T, store ports.Store) {
		ids := []string{
			"a", "A", "a\x00", "a\x00\x00", "\x00", "\x00\x00", "\xff", "\xff\x00", "\xc3\x28", "\xc3", "é", "e\u0301",
			strings.Repeat("\xfe", 1023), strings.Repeat("\xfe", 1022),
		}
		addUsers(t, store, user("ada"))
		for _, id := range ids {
			_, err := credentialByID(t, store, domain.CredentialID(id))
			wantError(t, err, domain.ErrPasskeyUnknown)
			addCredentials(t, store, credential("ada", id))
		}
		for _, id := range ids {
			got, err := credentialByID(t, store, domain.CredentialID(id))
			wantSame(t, got, err, credential("ada", id))
		}
	},

	"an unknown passkey is not found, not saved and not removed": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"))
		key := credential("ada", "key")
		err := store.Update(t.Context(), func(tx ports.Tx) error { return tx.Credentials.Save(t.Context(), domain.RestoreCredential(key)) })
		wantError(t, err, domain.ErrPasskeyUnknown)
		err = store.Update(t.Context(), func(tx ports.Tx) error { return tx.Credentials.Remove(t.Context(), key.ID) })
		wantError(t, err, domain.ErrPasskeyUnknown)
		_, err = credentialByID(t, store, key.ID)
		wantError(t, err, domain.ErrPasskeyUnknown)
	},

	"an id belongs to one user": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"), user("ben"))
		key := credential("ada", "key")
		addCredentials(t, store, key)
		err := store.Update(t.Context(), func(tx ports.Tx) error {
			return tx.Credentials.Add(t.Context(), domain.RestoreCredential(credential("ben", "key")))
		})
		wantError(t, err, domain.ErrPasskeyAlreadyRegistered)
		got, err := credentialByID(t, store, key.ID)
		wantSame(t, got, err, key)
	},

	"of many who register one id at once one does, and the others leave nothing": func(t *testing.T, store ports.Store) {
		name := func(i int) string { return fmt.Sprint("applicant", i) }
		won := wantOneWinner(t, concurrently(concurrentCallers, func(i int) error {
			return store.Update(t.Context(), func(tx ports.Tx) error {
				if err := tx.Users.Add(t.Context(), domain.RestoreUser(user(name(i)))); err != nil {
					return err
				}
				return tx.Credentials.Add(t.Context(), domain.RestoreCredential(credential(name(i), "key")))
			})
		}), domain.ErrPasskeyAlreadyRegistered)
		got, err := credentialByID(t, store, "key")
		wantSame(t, got, err, credential(name(won), "key"))
		for i := range concurrentCallers {
			got, err := userByID(t, store, userID(name(i)))
			if i == won {
				wantSame(t, got, err, user(name(i)))
			} else {
				wantError(t, err, domain.ErrUserNotFound)
			}
		}
	},

	"a user's passkeys come oldest first, and nobody else's": func(t *testing.T, store ports.Store) {
		made := func(owner, id string, at time.Time) domain.CredentialState {
			s := credential(owner, id)
			s.CreatedAt = at
			return s
		}
		addUsers(t, store, user("ada"), user("ben"), user("cem"))
		addCredentials(t, store, made("ada", "b", hour(2)), made("ben", "d", hour(0)), made("ada", "a", hour(3)), made("ada", "c", hour(1)))
		for owner, want := range map[string]string{"ada": "[c b a]", "ben": "[d]", "cem": "[]", "nobody": "[]"} {
			keys, err := credentialsOf(t, store, owner)
			if err != nil {
				t.Fatal(err)
			}
			ids := []string{}
			for _, key := range keys {
				ids = append(ids, string(key.ID()))
			}
			if fmt.Sprint(ids) != want {
				t.Errorf("%s has %v, want %s", owner, ids, want)
			}
			if owner == "ada" {
				wantSame(t, keys[2], nil, made("ada", "a", hour(3)))
			}
		}
	},

	"all that can change is saved": func(t *testing.T, store ports.Store) {
		before := unused(credential("ada", "key"))
		after := before
		after.Name = "Renamed"
		after.Status = domain.CredentialSuspended
		after.Transports = []string{"nfc"}
		after.Flags = 0b0000_0101
		after.SignCount = 4711
		after.CloneWarning = true
		after.LastUsedAt = hour(20)
		wantChanged(t, before, after,
			"ID", "UserID", "RPID", "PublicKey", "Algorithm", "AAGUID", "Attachment", "Attestation", "Extensions", "CreatedAt")
		addUsers(t, store, user("ada"))
		bystander := credential("ada", "bystander")
		addCredentials(t, store, before, bystander)
		for _, state := range []domain.CredentialState{after, before} {
			update(t, store, func(ctx context.Context, tx ports.Tx) error {
				return tx.Credentials.Save(ctx, domain.RestoreCredential(state))
			})
			got, err := credentialByID(t, store, before.ID)
			wantSame(t, got, err, state)
		}
		got, err := credentialByID(t, store, bystander.ID)
		wantSame(t, got, err, bystander)
	},

	"removing takes one, and not the sessions that it opened": func(t *testing.T, store ports.Store) {
		opened := activeSession("ada", "phone")
		opened.CredentialID = "key"
		addUsers(t, store, user("ada"))
		addCredentials(t, store, credential("ada", "key"), credential("ada", "other"))
		addSessions(t, store, opened)
		update(t, store, func(ctx context.Context, tx ports.Tx) error { return tx.Credentials.Remove(ctx, "key") })
		_, err := credentialByID(t, store, "key")
		wantError(t, err, domain.ErrPasskeyUnknown)
		left, err := credentialsOf(t, store, "ada")
		wantList(t, left, err, credential("ada", "other"))
		s, err := sessionByID(t, store, opened.ID)
		wantSame(t, s, err, opened)
		addCredentials(t, store, credential("ada", "key")) // it may join again
	},

	"passkeys of other RP ids are counted, each RP id by itself": func(t *testing.T, store ports.Store) {
		foreign := func(rpID string) map[string]int {
			t.Helper()
			counts, err := get(t, store, func(ctx context.Context, tx ports.Tx) (map[string]int, error) {
				return tx.Credentials.CountOtherRPIDs(ctx, rpID)
			})
			if err != nil {
				t.Fatal(err)
			}
			return counts
		}
		if got := foreign("example.org"); len(got) != 0 {
			t.Errorf("of no passkeys: %v", got)
		}
		addUsers(t, store, user("ada"), user("ben"))
		for i, rpID := range []string{"example.org", "example.com", "example.org", "id.example.org", "example.org"} {
			key := credential([]string{"ada", "ben"}[i%2], fmt.Sprint("key", i))
			key.RPID = rpID
			key.Status = []domain.CredentialStatus{domain.CredentialActive, domain.CredentialSuspended}[i%2]
			addCredentials(t, store, key)
		}
		for rpID, want := range map[string]map[string]int{
			"example.org":    {"example.com": 1, "id.example.org": 1},
			"id.example.org": {"example.com": 1, "example.org": 3},
			"EXAMPLE.ORG":    {"example.com": 1, "example.org": 3, "id.example.org": 1},
			"":               {"example.com": 1, "example.org": 3, "id.example.org": 1},
		} {
			if got := foreign(rpID); !maps.Equal(got, want) {
				t.Errorf("beside %q: %v, want %v", rpID, got, want)
			}
		}
		update(t, store, func(ctx context.Context, tx ports.Tx) error { return tx.Users.Remove(ctx, userID("ben")) })
		if got := foreign("example.org"); len(got) != 0 {
			t.Errorf("after their owner is gone: %v", got)
		}
	},

	"of many who count at once no count is lost": func(t *testing.T, store ports.Store) {
		key := unused(credential("ada", "key"))
		addUsers(t, store, user("ada"))
		addCredentials(t, store, key)
		for i, err := range concurrently(concurrentCallers, func(int) error {
			return store.Update(t.Context(), func(tx ports.Tx) error {
				found, err := tx.Credentials.ByID(t.Context(), key.ID)
				if err != nil {
					return err
				}
				s := found.State()
				s.SignCount++
				return tx.Credentials.Save(t.Context(), domain.RestoreCredential(s))
			})
		}) {
			if err != nil {
				t.Errorf("caller %d: %v", i, err)
			}
		}
		got, err := credentialByID(t, store, key.ID)
		key.SignCount = concurrentCallers
		wantSame(t, got, err, key)
	},

	"what comes out is a copy": func(t *testing.T, store ports.Store) {
		key := unused(credential("ada", "key"))
		addUsers(t, store, user("ada"))
		given := domain.RestoreCredential(key)
		update(t, store, func(ctx context.Context, tx ports.Tx) error { return tx.Credentials.Add(ctx, given) })
		use := domain.Assertion{Flags: key.Flags, SignCount: 7}
		if _, err := given.RecordUse(use, domain.UsePolicy{}, hour(20)); err != nil {
			t.Fatal(err)
		}
		got, err := credentialByID(t, store, key.ID)
		wantSame(t, got, err, key)
		if _, err := got.RecordUse(use, domain.UsePolicy{}, hour(21)); err != nil {
			t.Fatal(err)
		}
		got, err = credentialByID(t, store, key.ID)
		wantSame(t, got, err, key)
	},
}

// unused is the passkey as it was before its first use: active, nothing counted, nothing suspected.
func unused(s domain.CredentialState) domain.CredentialState {
	s.Status, s.SignCount, s.CloneWarning, s.LastUsedAt = domain.CredentialActive, 0, false, time.Time{}
	return s
}
