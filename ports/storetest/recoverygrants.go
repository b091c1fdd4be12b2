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
	"every field is kept": func(t *testing.T, store ports.Store) {
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

	"a user's is removed, and nobody else's": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"), user("ben"))
		putRecoveryGrants(t, store, recoveryGrant("ada", "recovery"), recoveryGrant("ben", "recovery"))
		for range 2 { // none is no error
			update(t, store, func(ctx context.Context, tx ports.Tx) error { return tx.RecoveryGrants.Remove(ctx, userID("ada")) })
		}
		_, err := recoveryGrantOf(t, store, "ada")
		wantError(t, err, domain.ErrRecoveryGrantInvalid)
		_, err = recoveryGrantByToken(t, store, recoveryGrant("ada", "recovery").Token)
		wantError(t, err, domain.ErrRecoveryGrantInvalid)
		got, err := recoveryGrantOf(t, store, "ben")
		wantSame(t, got, err, recoveryGrant("ben", "recovery"))
	},

	"an unknown one opens nothing": func(t *testing.T, store ports.Store) {
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

	"a token opens one": func(t *testing.T, store ports.Store) {
		first, again := recoveryGrant("ada", "recovery"), recoveryGrant("ben", "recovery")
		again.Token = first.Token
		addUsers(t, store, user("ada"), user("ben"))
		putRecoveryGrants(t, store, first, recoveryGrant("ben", "former"))
		err := store.Update(t.Context(), func(tx ports.Tx) error { return tx.RecoveryGrants.Put(t.Context(), domain.RestoreRecoveryGrant(again)) })
		if err == nil {
			t.Fatal("the second was put")
		}
		got, err := recoveryGrantByToken(t, store, first.Token)
		wantSame(t, got, err, first)
		got, err = recoveryGrantOf(t, store, "ben")
		wantSame(t, got, err, recoveryGrant("ben", "former"))
	},

	"a new one takes the former one's place": func(t *testing.T, store ports.Store) {
		former, present, bens := recoveryGrant("ada", "former"), recoveryGrant("ada", "present"), recoveryGrant("ben", "recovery")
		present.BackupCode, present.Factors = domain.BackupCodeDigest{}, []domain.RecoveryFactor{domain.FactorOperator}
		present.CreatedAt, present.ExpiresAt = hour(30), hour(31)
		wantChanged(t, former, present, "UserID")
		addUsers(t, store, user("ada"), user("ben"))
		putRecoveryGrants(t, store, former, bens)
		putRecoveryGrants(t, store, present)
		got, err := recoveryGrantOf(t, store, "ada")
		wantSame(t, got, err, present)
		got, err = recoveryGrantByToken(t, store, present.Token)
		wantSame(t, got, err, present)
		_, err = recoveryGrantByToken(t, store, former.Token)
		wantError(t, err, domain.ErrRecoveryGrantInvalid)
		got, err = recoveryGrantOf(t, store, "ben")
		wantSame(t, got, err, bens)
	},

	"looking does not take": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"))
		putRecoveryGrants(t, store, recoveryGrant("ada", "recovery"))
		for range 3 {
			got, err := recoveryGrantByToken(t, store, recoveryGrant("ada", "recovery").Token)
			wantSame(t, got, err, recoveryGrant("ada", "recovery"))
			got, err = recoveryGrantOf(t, store, "ada")
			wantSame(t, got, err, recoveryGrant("ada", "recovery"))
		}
	},

	"what was taken is gone": func(t *testing.T, store ports.Store) {
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

	"of many who take one at once one gets it, and what the winner wrote holds": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"))
		putRecoveryGrants(t, store, recoveryGrant("ada", "recovery"))
		key := func(i int) string { return fmt.Sprint("key", i) }
		won := wantOneWinner(t, concurrently(concurrentCallers, func(i int) error {
			return store.Update(t.Context(), func(tx ports.Tx) error {
				if err := tx.Credentials.Add(t.Context(), domain.RestoreCredential(credential("ada", key(i)))); err != nil {
					return err
				}
				_, err := tx.RecoveryGrants.Take(t.Context(), recoveryGrant("ada", "recovery").Token)
				return err
			})
		}), domain.ErrRecoveryGrantInvalid)
		_, err := recoveryGrantOf(t, store, "ada")
		wantError(t, err, domain.ErrRecoveryGrantInvalid)
		kept, err := credentialsOf(t, store, "ada")
		wantList(t, kept, err, credential("ada", key(won)))
	},

	"of many who take it with a challenge of their own under it one gets through": func(t *testing.T, store ports.Store) {
		g := recoveryGrant("ada", "recovery")
		own := func(i int) domain.ChallengeState { return underGrant(challenge(fmt.Sprint("attempt", i)), g) }
		addUsers(t, store, user("ada"))
		putRecoveryGrants(t, store, g)
		for i := range concurrentCallers {
			addChallenges(t, store, own(i))
		}
		wantOneWinner(t, concurrently(concurrentCallers, func(i int) error {
			return store.Update(t.Context(), func(tx ports.Tx) error {
				if _, err := tx.Challenges.Take(t.Context(), own(i).ID); err != nil {
					return err
				}
				yieldToOthers()
				_, err := tx.RecoveryGrants.Take(t.Context(), g.Token)
				return err
			})
		}), domain.ErrChallengeNotFound) // the others' went with the grant
	},

	"of many that are put at once one is left": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"))
		nth := func(i int) domain.RecoveryGrantState { return recoveryGrant("ada", fmt.Sprint("recovery", i)) }
		for _, err := range concurrently(concurrentCallers, func(i int) error {
			return store.Update(t.Context(), func(tx ports.Tx) error {
				return tx.RecoveryGrants.Put(t.Context(), domain.RestoreRecoveryGrant(nth(i)))
			})
		}) {
			wantError(t, err, nil)
		}
		left := []domain.RecoveryGrantState{}
		for i := range concurrentCallers {
			if g, err := recoveryGrantByToken(t, store, nth(i).Token); err == nil {
				left = append(left, g.State())
			}
		}
		if len(left) != 1 {
			t.Fatalf("%d are left, want 1", len(left))
		}
		got, err := recoveryGrantOf(t, store, "ada")
		wantSame(t, got, err, left[0])
	},

	"sweeping takes the expired, oldest first, so many and no more": func(t *testing.T, store ports.Store) {
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
		for _, step := range []struct{ swept, left string }{
			{"2", "[now soon later]"},
			{"1", "[soon later]"},
			{"0", "[soon later]"},
		} {
			var swept int
			update(t, store, func(ctx context.Context, tx ports.Tx) (err error) {
				swept, err = tx.RecoveryGrants.DeleteExpired(ctx, now, 2)
				return err
			})
			left := []string{}
			for _, owner := range owners {
				if _, err := recoveryGrantOf(t, store, owner); err == nil {
					left = append(left, owner)
				}
			}
			if fmt.Sprint(swept) != step.swept || fmt.Sprint(left) != step.left {
				t.Fatalf("swept %d, left %v; want %s, %s", swept, left, step.swept, step.left)
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
