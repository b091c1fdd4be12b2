package storetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

var grants = rules{
	"every field is kept": func(t *testing.T, store ports.Store) {
		g := grant("ada", "recovery")
		wantComplete(t, g)
		addUsers(t, store, user("ada"), user("ben"))
		putGrants(t, store, grant("ben", "recovery"), g)
		got, err := grantOf(t, store, "ada")
		wantSame(t, got, err, g)
		got, err = grantByToken(t, store, g.Token)
		wantSame(t, got, err, g)
		got, err = takeGrant(t, store, g.Token)
		wantSame(t, got, err, g)
	},

	"optional fields stay empty": func(t *testing.T, store ports.Store) {
		g := grant("ada", "recovery")
		g.Code, g.By = domain.CodeDigest{}, nil
		addUsers(t, store, user("ada"))
		putGrants(t, store, g)
		got, err := grantByToken(t, store, g.Token)
		wantSame(t, got, err, g)
	},

	"a user's is removed, and nobody else's": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"), user("ben"))
		putGrants(t, store, grant("ada", "recovery"), grant("ben", "recovery"))
		for range 2 { // none is no error
			update(t, store, func(ctx context.Context, tx ports.Tx) error { return tx.Grants.Remove(ctx, userID("ada")) })
		}
		_, err := grantOf(t, store, "ada")
		wantError(t, err, domain.ErrInvalidGrant)
		_, err = grantByToken(t, store, grant("ada", "recovery").Token)
		wantError(t, err, domain.ErrInvalidGrant)
		got, err := grantOf(t, store, "ben")
		wantSame(t, got, err, grant("ben", "recovery"))
	},

	"an unknown one opens nothing": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"), user("ben"))
		putGrants(t, store, grant("ben", "recovery"))
		_, err := grantOf(t, store, "ada")
		wantError(t, err, domain.ErrInvalidGrant)
		_, err = grantByToken(t, store, grant("ada", "recovery").Token)
		wantError(t, err, domain.ErrInvalidGrant)
		_, err = takeGrant(t, store, grant("ada", "recovery").Token)
		wantError(t, err, domain.ErrInvalidGrant)
	},

	"a token is compared byte for byte": func(t *testing.T, store ports.Store) {
		tokens := map[string]domain.TokenDigest{
			"zeros": {}, "lower": {0: 'a'}, "upper": {0: 'A'}, "end": {31: 1}, "invalid": {0: 0xff, 1: 0xc3, 31: 0xfe},
		}
		withToken := func(owner string) domain.GrantSnapshot {
			g := grant(owner, "recovery")
			g.Token = tokens[owner]
			return g
		}
		for owner := range tokens {
			addUsers(t, store, user(owner))
			putGrants(t, store, withToken(owner))
		}
		for owner, token := range tokens {
			got, err := grantByToken(t, store, token)
			wantSame(t, got, err, withToken(owner))
		}
		_, err := grantByToken(t, store, domain.TokenDigest{31: 2})
		wantError(t, err, domain.ErrInvalidGrant)
	},

	"a token opens one": func(t *testing.T, store ports.Store) {
		first, again := grant("ada", "recovery"), grant("ben", "recovery")
		again.Token = first.Token
		addUsers(t, store, user("ada"), user("ben"))
		putGrants(t, store, first, grant("ben", "former"))
		err := store.Update(t.Context(), func(tx ports.Tx) error { return tx.Grants.Put(t.Context(), domain.RestoreGrant(again)) })
		if err == nil {
			t.Fatal("the second was put")
		}
		got, err := grantByToken(t, store, first.Token)
		wantSame(t, got, err, first)
		got, err = grantOf(t, store, "ben")
		wantSame(t, got, err, grant("ben", "former"))
	},

	"a new one takes the former one's place": func(t *testing.T, store ports.Store) {
		former, present, bens := grant("ada", "former"), grant("ada", "present"), grant("ben", "recovery")
		present.Code, present.By = domain.CodeDigest{}, []domain.RecoveryFactor{domain.ByTheirWord}
		present.CreatedAt, present.ExpiresAt = hour(30), hour(31)
		wantChanged(t, former, present, "UserID")
		addUsers(t, store, user("ada"), user("ben"))
		putGrants(t, store, former, bens)
		putGrants(t, store, present)
		got, err := grantOf(t, store, "ada")
		wantSame(t, got, err, present)
		got, err = grantByToken(t, store, present.Token)
		wantSame(t, got, err, present)
		_, err = grantByToken(t, store, former.Token)
		wantError(t, err, domain.ErrInvalidGrant)
		got, err = grantOf(t, store, "ben")
		wantSame(t, got, err, bens)
	},

	"looking does not take": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"))
		putGrants(t, store, grant("ada", "recovery"))
		for range 3 {
			got, err := grantByToken(t, store, grant("ada", "recovery").Token)
			wantSame(t, got, err, grant("ada", "recovery"))
			got, err = grantOf(t, store, "ada")
			wantSame(t, got, err, grant("ada", "recovery"))
		}
	},

	"what was taken is gone": func(t *testing.T, store ports.Store) {
		adas, bens := grant("ada", "recovery"), grant("ben", "recovery")
		addUsers(t, store, user("ada"), user("ben"))
		putGrants(t, store, adas, bens)
		if _, err := takeGrant(t, store, adas.Token); err != nil {
			t.Fatal(err)
		}
		_, err := takeGrant(t, store, adas.Token)
		wantError(t, err, domain.ErrInvalidGrant)
		_, err = grantByToken(t, store, adas.Token)
		wantError(t, err, domain.ErrInvalidGrant)
		_, err = grantOf(t, store, "ada")
		wantError(t, err, domain.ErrInvalidGrant)
		got, err := grantByToken(t, store, bens.Token)
		wantSame(t, got, err, bens)
	},

	"of many who take one at once one gets it, and what the winner wrote holds": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"))
		putGrants(t, store, grant("ada", "recovery"))
		key := func(i int) string { return fmt.Sprint("key", i) }
		won := winner(t, atOnce(crowd, func(i int) error {
			return store.Update(t.Context(), func(tx ports.Tx) error {
				if err := tx.Credentials.Add(t.Context(), domain.RestoreCredential(credential("ada", key(i)))); err != nil {
					return err
				}
				_, err := tx.Grants.Take(t.Context(), grant("ada", "recovery").Token)
				return err
			})
		}), domain.ErrInvalidGrant)
		_, err := grantOf(t, store, "ada")
		wantError(t, err, domain.ErrInvalidGrant)
		kept, err := credentialsOf(t, store, "ada")
		wantList(t, kept, err, credential("ada", key(won)))
	},

	"of many who take it with a challenge of their own under it one gets through": func(t *testing.T, store ports.Store) {
		g := grant("ada", "recovery")
		own := func(i int) domain.ChallengeSnapshot { return under(challenge(fmt.Sprint("attempt", i)), g) }
		addUsers(t, store, user("ada"))
		putGrants(t, store, g)
		for i := range crowd {
			addChallenges(t, store, own(i))
		}
		winner(t, atOnce(crowd, func(i int) error {
			return store.Update(t.Context(), func(tx ports.Tx) error {
				if _, err := tx.Challenges.Take(t.Context(), own(i).ID); err != nil {
					return err
				}
				ponder()
				_, err := tx.Grants.Take(t.Context(), g.Token)
				return err
			})
		}), domain.ErrChallengeNotFound) // the others' went with the grant
	},

	"of many that are put at once one is left": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"))
		nth := func(i int) domain.GrantSnapshot { return grant("ada", fmt.Sprint("recovery", i)) }
		for _, err := range atOnce(crowd, func(i int) error {
			return store.Update(t.Context(), func(tx ports.Tx) error { return tx.Grants.Put(t.Context(), domain.RestoreGrant(nth(i))) })
		}) {
			wantError(t, err, nil)
		}
		left := []domain.GrantSnapshot{}
		for i := range crowd {
			if g, err := grantByToken(t, store, nth(i).Token); err == nil {
				left = append(left, g.Snapshot())
			}
		}
		if len(left) != 1 {
			t.Fatalf("%d are left, want 1", len(left))
		}
		got, err := grantOf(t, store, "ada")
		wantSame(t, got, err, left[0])
	},

	"sweeping takes the expired, oldest first, so many and no more": func(t *testing.T, store ports.Store) {
		now := hour(50)
		owners := []string{"oldest", "older", "now", "soon", "later"}
		for owner, at := range map[string]time.Time{
			"oldest": now.Add(-2 * time.Hour), "older": now.Add(-time.Hour), "now": now, "soon": now.Add(time.Microsecond), "later": now.Add(time.Hour),
		} {
			g := grant(owner, "recovery")
			g.ExpiresAt = at
			addUsers(t, store, user(owner))
			putGrants(t, store, g)
		}
		for _, step := range []struct{ swept, left string }{
			{"2", "[now soon later]"},
			{"1", "[soon later]"},
			{"0", "[soon later]"},
		} {
			var swept int
			update(t, store, func(ctx context.Context, tx ports.Tx) (err error) {
				swept, err = tx.Grants.Sweep(ctx, now, 2)
				return err
			})
			left := []string{}
			for _, owner := range owners {
				if _, err := grantOf(t, store, owner); err == nil {
					left = append(left, owner)
				}
			}
			if fmt.Sprint(swept) != step.swept || fmt.Sprint(left) != step.left {
				t.Fatalf("swept %d, left %v; want %s, %s", swept, left, step.swept, step.left)
			}
		}
	},
}

func takeGrant(t *testing.T, store ports.Store, token domain.TokenDigest) (*domain.Grant, error) {
	t.Helper()
	var taken *domain.Grant
	err := store.Update(t.Context(), func(tx ports.Tx) (err error) {
		taken, err = tx.Grants.Take(t.Context(), token)
		return err
	})
	return taken, err
}
