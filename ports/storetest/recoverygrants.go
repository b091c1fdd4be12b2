package storetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

var recoveryGrants = rules{
	"every field is stored": func(t *testing.T, store ports.Store) {
		g := recoveryGrant("ada", "recovery")
		wantComplete(t, g)
		addUsers(t, store, user("ada"), user("ben"))
		putRecoveryGrants(t, store, recoveryGrant("ben", "recovery"), g)
		got, err := recoveryGrantOf(t, store, "ada")
		wantSame(t, got, err, g)
		got, err = recoveryGrantByToken(t, store, g.Token)
		wantSame(t, got, err, g)
		got, err = takeRecoveryGrant(t, store, g.Token)
		wantSame(t, got, err, g)
	},

	"optional fields stay empty": func(t *testing.T, store ports.Store) {
		g := recoveryGrant("ada", "recovery")
		g.BackupCode, g.Factors = domain.BackupCodeDigest{}, nil
		addUsers(t, store, user("ada"))
		putRecoveryGrants(t, store, g)
		got, err := recoveryGrantByToken(t, store, g.Token)
		wantSame(t, got, err, g)
	},

	"Remove removes the grant of that user only": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"), user("ben"))
		putRecoveryGrants(t, store, recoveryGrant("ada", "recovery"), recoveryGrant("ben", "recovery"))
		for range 2 { // the second removes nothing
			update(t, store, func(ctx context.Context, tx ports.Tx) error { return tx.RecoveryGrants.Remove(ctx, userID("ada")) })
		}
		_, err := recoveryGrantOf(t, store, "ada")
		wantError(t, err, domain.ErrRecoveryGrantInvalid)
		_, err = recoveryGrantByToken(t, store, recoveryGrant("ada", "recovery").Token)
		wantError(t, err, domain.ErrRecoveryGrantInvalid)
		got, err := recoveryGrantOf(t, store, "ben")
		wantSame(t, got, err, recoveryGrant("ben", "recovery"))
	},

	"an unknown grant is not found": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"), user("ben"))
		putRecoveryGrants(t, store, recoveryGrant("ben", "recovery"))
		_, err := recoveryGrantOf(t, store, "ada")
		wantError(t, err, domain.ErrRecoveryGrantInvalid)
		_, err = recoveryGrantByToken(t, store, recoveryGrant("ada", "recovery").Token)
		wantError(t, err, domain.ErrRecoveryGrantInvalid)
		_, err = takeRecoveryGrant(t, store, recoveryGrant("ada", "recovery").Token)
		wantError(t, err, domain.ErrRecoveryGrantInvalid)
	},

	"a token is compared byte for byte": func(t *testing.T, store ports.Store) {
		tokens := map[string]domain.TokenDigest{
			"zeros": {}, "lower": {0: 'a'}, "upper": {0: 'A'}, "end": {31: 1}, "invalid": {0: 0xff, 1: 0xc3, 31: 0xfe},
		}
		withToken := func(owner string) domain.RecoveryGrantState {
			g := recoveryGrant(owner, "recovery")
			g.Token = tokens[owner]
			return g
		}
		for owner := range tokens {
			addUsers(t, store, user(owner))
			putRecoveryGrants(t, store, withToken(owner))
		}
		for owner, token := range tokens {
			got, err := recoveryGrantByToken(t, store, token)
			wantSame(t, got, err, withToken(owner))
		}
		_, err := recoveryGrantByToken(t, store, domain.TokenDigest{31: 2})
		wantError(t, err, domain.ErrRecoveryGrantInvalid)
	},

	"a duplicate token is rejected": func(t *testing.T, store ports.Store) {
		first, duplicate := recoveryGrant("ada", "recovery"), recoveryGrant("ben", "recovery")
		duplicate.Token = first.Token
		addUsers(t, store, user("ada"), user("ben"))
		putRecoveryGrants(t, store, first, recoveryGrant("ben", "previous"))
		err := store.Update(t.Context(), func(tx ports.Tx) error {
			return tx.RecoveryGrants.Put(t.Context(), domain.RestoreRecoveryGrant(duplicate))
		})
		if err == nil {
			t.Fatal("the duplicate was stored")
		}
		got, err := recoveryGrantByToken(t, store, first.Token)
		wantSame(t, got, err, first)
		got, err = recoveryGrantOf(t, store, "ben")
		wantSame(t, got, err, recoveryGrant("ben", "previous"))
	},

	"a new grant replaces the previous one of the user": func(t *testing.T, store ports.Store) {
		previous, current, bens := recoveryGrant("ada", "previous"), recoveryGrant("ada", "current"), recoveryGrant("ben", "recovery")
		current.BackupCode, current.Factors = domain.BackupCodeDigest{}, []domain.RecoveryFactor{domain.FactorOperator}
		current.CreatedAt, current.ExpiresAt = hour(30), hour(31)
		wantChanged(t, previous, current, "UserID")
		addUsers(t, store, user("ada"), user("ben"))
		putRecoveryGrants(t, store, previous, bens)
		putRecoveryGrants(t, store, current)
		got, err := recoveryGrantOf(t, store, "ada")
		wantSame(t, got, err, current)
		got, err = recoveryGrantByToken(t, store, current.Token)
		wantSame(t, got, err, current)
		_, err = recoveryGrantByToken(t, store, previous.Token)
		wantError(t, err, domain.ErrRecoveryGrantInvalid)
		got, err = recoveryGrantOf(t, store, "ben")
		wantSame(t, got, err, bens)
	},

	"reading does not take": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"))
		putRecoveryGrants(t, store, recoveryGrant("ada", "recovery"))
		for range 3 {
			got, err := recoveryGrantByToken(t, store, recoveryGrant("ada", "recovery").Token)
			wantSame(t, got, err, recoveryGrant("ada", "recovery"))
			got, err = recoveryGrantOf(t, store, "ada")
			wantSame(t, got, err, recoveryGrant("ada", "recovery"))
		}
	},

	"a taken grant is removed": func(t *testing.T, store ports.Store) {
		adas, bens := recoveryGrant("ada", "recovery"), recoveryGrant("ben", "recovery")
		addUsers(t, store, user("ada"), user("ben"))
		putRecoveryGrants(t, store, adas, bens)
		if _, err := takeRecoveryGrant(t, store, adas.Token); err != nil {
			t.Fatal(err)
		}
		_, err := takeRecoveryGrant(t, store, adas.Token)
		wantError(t, err, domain.ErrRecoveryGrantInvalid)
		_, err = recoveryGrantByToken(t, store, adas.Token)
		wantError(t, err, domain.ErrRecoveryGrantInvalid)
		_, err = recoveryGrantOf(t, store, "ada")
		wantError(t, err, domain.ErrRecoveryGrantInvalid)
		got, err := recoveryGrantByToken(t, store, bens.Token)
		wantSame(t, got, err, bens)
	},

	"of concurrent callers that take one grant, one succeeds and its writes are committed": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"))
		putRecoveryGrants(t, store, recoveryGrant("ada", "recovery"))
		key := func(i int) string { return fmt.Sprint("key", i) }
		won := wantOneWinner(t, concurrently(concurrentCallers, func(i int) error {
			return store.Update(t.Context(), func(tx ports.Tx) error {
				if err := addCredential(t.Context(), tx, credential("ada", key(i))); err != nil {
					return err
				}
				_, err := tx.RecoveryGrants.Take(t.Context(), recoveryGrant("ada", "recovery").Token)
				return err
			})
		}), domain.ErrRecoveryGrantInvalid)
		_, err := recoveryGrantOf(t, store, "ada")
		wantError(t, err, domain.ErrRecoveryGrantInvalid)
		stored, err := credentialsOf(t, store, "ada")
		wantList(t, stored, err, credential("ada", key(won)))
	},

	"of concurrent callers that take a grant after a challenge of their own, one succeeds": func(t *testing.T, store ports.Store) {
		g := recoveryGrant("ada", "recovery")
		own := func(i int) domain.ChallengeState { return underGrant(challenge(fmt.Sprint("attempt", i)), g) }
		addUsers(t, store, user("ada"))
		putRecoveryGrants(t, store, g)
		for i := range concurrentCallers {
			addChallenges(t, store, own(i))
		}
		wantOneWinner(t, concurrently(concurrentCallers, func(i int) error {
			return store.Update(t.Context(), func(tx ports.Tx) error {
				if err := tx.Challenges.Consume(t.Context(), own(i).ID); err != nil {
					return err
				}
				yieldToOthers()
				_, err := tx.RecoveryGrants.Take(t.Context(), g.Token)
				return err
			})
		}), domain.ErrChallengeNotFound) // removed with the grant
	},

	"of concurrent callers that put a grant, the grant of one remains": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"))
		nth := func(i int) domain.RecoveryGrantState { return recoveryGrant("ada", fmt.Sprint("recovery", i)) }
		for _, err := range concurrently(concurrentCallers, func(i int) error {
			return store.Update(t.Context(), func(tx ports.Tx) error {
				return tx.RecoveryGrants.Put(t.Context(), domain.RestoreRecoveryGrant(nth(i)))
			})
		}) {
			wantError(t, err, nil)
		}
		remaining := []domain.RecoveryGrantState{}
		for i := range concurrentCallers {
			if g, err := recoveryGrantByToken(t, store, nth(i).Token); err == nil {
				remaining = append(remaining, g.State())
			}
		}
		if len(remaining) != 1 {
			t.Fatalf("%d grants remain, want 1", len(remaining))
		}
		got, err := recoveryGrantOf(t, store, "ada")
		wantSame(t, got, err, remaining[0])
	},

	"DeleteExpired deletes expired grants, oldest first, up to the limit": func(t *testing.T, store ports.Store) {
		now := hour(50)
		owners := []string{"oldest", "older", "now", "soon", "later"}
		for owner, at := range map[string]time.Time{
			"oldest": now.Add(-2 * time.Hour), "older": now.Add(-time.Hour), "now": now, "soon": now.Add(time.Microsecond), "later": now.Add(time.Hour),
		} {
			g := recoveryGrant(owner, "recovery")
			g.ExpiresAt = at
			addUsers(t, store, user(owner))
			putRecoveryGrants(t, store, g)
		}
		for _, step := range []struct{ deleted, remaining string }{
			{"2", "[now soon later]"},
			{"1", "[soon later]"},
			{"0", "[soon later]"},
		} {
			var deleted int
			update(t, store, func(ctx context.Context, tx ports.Tx) (err error) {
				deleted, err = tx.RecoveryGrants.DeleteExpired(ctx, now, 2)
				return err
			})
			remaining := []string{}
			for _, owner := range owners {
				if _, err := recoveryGrantOf(t, store, owner); err == nil {
					remaining = append(remaining, owner)
				}
			}
			if fmt.Sprint(deleted) != step.deleted || fmt.Sprint(remaining) != step.remaining {
				t.Fatalf("deleted %d, remaining %v; want %s, %s", deleted, remaining, step.deleted, step.remaining)
			}
		}
	},
}

func takeRecoveryGrant(t *testing.T, store ports.Store, token domain.TokenDigest) (*domain.RecoveryGrant, error) {
	t.Helper()
	var taken *domain.RecoveryGrant
	err := store.Update(t.Context(), func(tx ports.Tx) (err error) {
		taken, err = tx.RecoveryGrants.Take(t.Context(), token)
		return err
	})
	return taken, err
}
