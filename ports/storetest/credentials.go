package storetest

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Cases of: adapters/postgres.TestContract/Credentials, adapters/sqlite.TestContract/Credentials
var credentials = rules{
	"every field is stored": func(t *testing.T, store ports.Store) {
		key := credential("ada", "key")
		wantComplete(t, key)
		addUsers(t, store, user("ada"))
		addCredentials(t, store, credential("ada", "other"), key)
		got, err := credentialByID(t, store, key.ID)
		wantSame(t, got, err, key)
	},

	"an attestation is stored beside its passkey": func(t *testing.T, store ports.Store) {
		attestationOf := func(id domain.CredentialID) (domain.Attestation, error) {
			return get(t, store, func(ctx context.Context, tx ports.Tx) (domain.Attestation, error) {
				return tx.Credentials.Attestation(ctx, id)
			})
		}
		wantAttestation := func(id domain.CredentialID, want domain.Attestation) {
			t.Helper()
			if got, err := attestationOf(id); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%s: got %+v, %v; want %+v", id, got, err, want)
			}
		}
		key, other := credential("ada", "key"), credential("ada", "other")
		wantComplete(t, attestation(key.ID))
		addUsers(t, store, user("ada"), user("ben"))
		addCredentials(t, store, key, other)
		wantAttestation(key.ID, attestation(key.ID))
		wantAttestation(other.ID, attestation(other.ID))
		_, err := attestationOf("unknown")
		wantError(t, err, domain.ErrPasskeyUnknown)

		// An id that is taken keeps its attestation, and so does a passkey that changes.
		err = store.Update(t.Context(), func(tx ports.Tx) error {
			err := tx.Credentials.Add(t.Context(), domain.RestoreCredential(credential("ben", "key")), attestation("another"))
			wantError(t, err, domain.ErrPasskeyAlreadyRegistered)
			return tx.Credentials.Save(t.Context(), domain.RestoreCredential(unused(key)))
		})
		wantError(t, err, nil)
		wantAttestation(key.ID, attestation(key.ID))

		update(t, store, func(ctx context.Context, tx ports.Tx) error { return tx.Credentials.Remove(ctx, key.ID) })
		_, err = attestationOf(key.ID)
		wantError(t, err, domain.ErrPasskeyUnknown)
		wantAttestation(other.ID, attestation(other.ID))

		// The id is free, with another attestation, of which a part may be empty.
		self := domain.Attestation{Type: "", Format: "none", Object: []byte{0}, AuthenticatorData: []byte{1}, ClientDataJSON: []byte{2}}
		update(t, store, func(ctx context.Context, tx ports.Tx) error {
			return tx.Credentials.Add(ctx, domain.RestoreCredential(credential("ben", "key")), self)
		})
		wantAttestation(key.ID, self)
		update(t, store, func(ctx context.Context, tx ports.Tx) error { return tx.Users.Remove(ctx, userID("ben")) })
		_, err = attestationOf(key.ID)
		wantError(t, err, domain.ErrPasskeyUnknown)
	},

	"a passkey is found with its owner": func(t *testing.T, store ports.Store) {
		ada, ben := user("ada"), user("ben")
		first, second, other := credential("ada", "first"), credential("ada", "second"), credential("ben", "other")
		second.CreatedAt = first.CreatedAt.Add(time.Hour)
		addUsers(t, store, ada, ben, user("cem"))
		addCredentials(t, store, second, other, first)
		ctx := t.Context()
		err := store.View(ctx, func(tx ports.Tx) error {
			key, owner, _, err := tx.Credentials.ByIDWithOwner(ctx, other.ID, 9)
			wantSame(t, key, err, other)
			wantSame(t, owner, err, ben)
			_, _, _, err = tx.Credentials.ByIDWithOwner(ctx, "unknown", 9)
			wantError(t, err, domain.ErrPasskeyUnknown)

			keys, owner, _, err := tx.Credentials.ListWithOwner(ctx, ada.ID, domain.LockoutSubject{})
			wantList(t, keys, err, first, second)
			wantSame(t, owner, err, ada)
			for _, id := range []domain.UserID{userID("cem"), userID("unknown"), {}} {
				_, _, _, err = tx.Credentials.ListWithOwner(ctx, id, domain.LockoutSubject{})
				wantError(t, err, domain.ErrPasskeyUnknown)
			}
			return nil
		})
		wantError(t, err, nil)
	},

	"ByIDWithOwner counts the owner's sessions up to a limit, also expired ones": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"), user("ben"), user("cem"))
		addCredentials(t, store, credential("ada", "ada's"), credential("ben", "ben's"), credential("cem", "cem's"))
		for i := range 5 {
			addSessions(t, store, activeSession("ada", fmt.Sprint("phone", i)))
		}
		revoked := activeSession("ada", "revoked")
		revoked.RevokedAt = hour(20)
		addSessions(t, store, revoked, activeSession("ben", "phone"))
		for _, c := range []struct {
			owner      string
			upTo, want int
		}{{"ada", 9, 5}, {"ada", 5, 5}, {"ada", 3, 3}, {"ada", 0, 0}, {"ben", 9, 1}, {"cem", 9, 0}} {
			got, err := get(t, store, func(ctx context.Context, tx ports.Tx) (int, error) {
				_, _, sessions, err := tx.Credentials.ByIDWithOwner(ctx, credential(c.owner, c.owner+"'s").ID, c.upTo)
				return sessions, err
			})
			if err != nil || got != c.want {
				t.Errorf("%d of %s up to %d, error %v; want %d", got, c.owner, c.upTo, err, c.want)
			}
		}
	},

	"ListWithOwner reports whether the subject has a lockout": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"))
		addCredentials(t, store, credential("ada", "first"), credential("ada", "second"))
		l := lockout("ada")
		want := func(subject domain.LockoutSubject, want bool) {
			t.Helper()
			got, err := get(t, store, func(ctx context.Context, tx ports.Tx) (bool, error) {
				_, _, hasLockout, err := tx.Credentials.ListWithOwner(ctx, userID("ada"), subject)
				return hasLockout, err
			})
			if err != nil || got != want {
				t.Errorf("%x: got %t, %v; want %t", subject, got, err, want)
			}
		}
		want(l.Subject, false)
		update(t, store, func(ctx context.Context, tx ports.Tx) error { return tx.Lockouts.Save(ctx, domain.RestoreLockout(l)) })
		want(l.Subject, true)
		want(lockout("ben").Subject, false)
		update(t, store, func(ctx context.Context, tx ports.Tx) error { return tx.Lockouts.Clear(ctx, l.Subject) })
		want(l.Subject, false)
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

	// Requirement: WebAuthn-7.1-26
	"an id belongs to one user": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"), user("ben"))
		key := credential("ada", "key")
		addCredentials(t, store, key)
		err := store.Update(t.Context(), func(tx ports.Tx) error {
			return addCredential(t.Context(), tx, credential("ben", "key"))
		})
		wantError(t, err, domain.ErrPasskeyAlreadyRegistered)
		got, err := credentialByID(t, store, key.ID)
		wantSame(t, got, err, key)
	},

	// Requirement: WebAuthn-7.1-26
	"of concurrent callers that register one id, one succeeds and the others are rolled back": func(t *testing.T, store ports.Store) {
		name := func(i int) string { return fmt.Sprint("user", i) }
		won := wantOneWinner(t, concurrently(concurrentCallers, func(i int) error {
			return store.Update(t.Context(), func(tx ports.Tx) error {
				if err := tx.Users.Add(t.Context(), domain.RestoreUser(user(name(i)))); err != nil {
					return err
				}
				return addCredential(t.Context(), tx, credential(name(i), "key"))
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

	"ListByUser returns the user's passkeys, oldest first": func(t *testing.T, store ports.Store) {
		created := func(owner, id string, at time.Time) domain.CredentialState {
			s := credential(owner, id)
			s.CreatedAt = at
			return s
		}
		addUsers(t, store, user("ada"), user("ben"), user("cem"))
		addCredentials(t, store, created("ada", "b", hour(2)), created("ben", "d", hour(0)), created("ada", "a", hour(3)), created("ada", "c", hour(1)))
		for owner, want := range map[string]string{"ada": "[c b a]", "ben": "[d]", "cem": "[]", "unknown": "[]"} {
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
				wantSame(t, keys[2], nil, created("ada", "a", hour(3)))
			}
		}
	},

	"Save stores every mutable field": func(t *testing.T, store ports.Store) {
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
			"ID", "UserID", "RPID", "PublicKey", "Algorithm", "AAGUID", "Attachment", "Extensions", "CreatedAt")
		addUsers(t, store, user("ada"))
		other := credential("ada", "other")
		addCredentials(t, store, before, other)
		for _, state := range []domain.CredentialState{after, before} {
			update(t, store, func(ctx context.Context, tx ports.Tx) error {
				return tx.Credentials.Save(ctx, domain.RestoreCredential(state))
			})
			got, err := credentialByID(t, store, before.ID)
			wantSame(t, got, err, state)
		}
		got, err := credentialByID(t, store, other.ID)
		wantSame(t, got, err, other)
	},

	"Remove removes a passkey, but not the sessions that it opened": func(t *testing.T, store ports.Store) {
		opened := activeSession("ada", "phone")
		opened.CredentialID = "key"
		addUsers(t, store, user("ada"))
		addCredentials(t, store, credential("ada", "key"), credential("ada", "other"))
		addSessions(t, store, opened)
		update(t, store, func(ctx context.Context, tx ports.Tx) error { return tx.Credentials.Remove(ctx, "key") })
		_, err := credentialByID(t, store, "key")
		wantError(t, err, domain.ErrPasskeyUnknown)
		remaining, err := credentialsOf(t, store, "ada")
		wantList(t, remaining, err, credential("ada", "other"))
		s, err := sessionByID(t, store, opened.ID)
		wantSame(t, s, err, opened)
		addCredentials(t, store, credential("ada", "key")) // its id is free
	},

	"CountOtherRPIDs counts the passkeys of each other RP ID": func(t *testing.T, store ports.Store) {
		count := func(rpID string) map[string]int {
			t.Helper()
			counts, err := get(t, store, func(ctx context.Context, tx ports.Tx) (map[string]int, error) {
				return tx.Credentials.CountOtherRPIDs(ctx, rpID)
			})
			if err != nil {
				t.Fatal(err)
			}
			return counts
		}
		if got := count("example.org"); len(got) != 0 {
			t.Errorf("without passkeys: %v", got)
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
			if got := count(rpID); !maps.Equal(got, want) {
				t.Errorf("other than %q: %v, want %v", rpID, got, want)
			}
		}
		update(t, store, func(ctx context.Context, tx ports.Tx) error { return tx.Users.Remove(ctx, userID("ben")) })
		if got := count("example.org"); len(got) != 0 {
			t.Errorf("after the removal of their user: %v", got)
		}
	},

	"concurrent increments of a counter are not lost": func(t *testing.T, store ports.Store) {
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

	"returned aggregates are copies": func(t *testing.T, store ports.Store) {
		key := unused(credential("ada", "key"))
		addUsers(t, store, user("ada"))
		given := domain.RestoreCredential(key)
		update(t, store, func(ctx context.Context, tx ports.Tx) error {
			return tx.Credentials.Add(ctx, given, attestation(key.ID))
		})
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

// unused returns the passkey before its first use: active, with a counter of zero.
func unused(s domain.CredentialState) domain.CredentialState {
	s.Status, s.SignCount, s.CloneWarning, s.LastUsedAt = domain.CredentialActive, 0, false, time.Time{}
	return s
}
