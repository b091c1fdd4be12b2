package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Cases of: adapters/postgres.TestContract/Challenges, adapters/sqlite.TestContract/Challenges
var challenges = rules{
	"every field is stored": func(t *testing.T, store ports.Store) {
		s, g := session("ada", "phone"), recoveryGrant("ada", "recovery")
		signUp := underGrant(inSession(challenge("ada"), s), g)
		wantComplete(t, signUp)
		addUsers(t, store, user("ada"))
		addSessions(t, store, s)
		putRecoveryGrants(t, store, g)
		addChallenges(t, store, challenge("ben"), signUp)
		got, err := challengeByID(t, store, signUp.ID)
		wantSame(t, got, err, signUp)
	},

	"optional fields stay empty": func(t *testing.T, store ports.Store) {
		login := challenge("ada")
		login.Purpose, login.Binding, login.PendingUser = domain.PurposeLogin, domain.Binding{}, nil
		signUp := challenge("ben")
		signUp.PendingUser.Email, signUp.PendingUser.DisplayName, signUp.PendingUser.Locale, signUp.PendingUser.Invite = "", "", "", domain.InviteID{}
		addChallenges(t, store, login, signUp)
		for _, s := range []domain.ChallengeState{login, signUp} {
			got, err := challengeByID(t, store, s.ID)
			wantSame(t, got, err, s)
		}
	},

	"an unknown challenge is not found": func(t *testing.T, store ports.Store) {
		_, err := challengeByID(t, store, challenge("ada").ID)
		wantError(t, err, domain.ErrChallengeNotFound)
		wantError(t, consumeChallenge(t, store, challenge("ada").ID), domain.ErrChallengeNotFound)
	},

	// Requirement: ASVS-6.7.2
	"a duplicate id is rejected": func(t *testing.T, store ports.Store) {
		first, second := challenge("ada"), challenge("ben")
		second.ID = first.ID
		addChallenges(t, store, first)
		err := store.Update(t.Context(), func(tx ports.Tx) error { return tx.Challenges.Add(t.Context(), domain.RestoreChallenge(second)) })
		if err == nil {
			t.Fatal("the duplicate was added")
		}
		got, err := challengeByID(t, store, first.ID)
		wantSame(t, got, err, first)
	},

	"reading does not consume": func(t *testing.T, store ports.Store) {
		addChallenges(t, store, challenge("ada"))
		for range 3 {
			got, err := challengeByID(t, store, challenge("ada").ID)
			wantSame(t, got, err, challenge("ada"))
		}
	},

	"a consumed challenge is removed": func(t *testing.T, store ports.Store) {
		addChallenges(t, store, challenge("ada"), challenge("ben"))
		if err := consumeChallenge(t, store, challenge("ada").ID); err != nil {
			t.Fatal(err)
		}
		_, err := challengeByID(t, store, challenge("ada").ID)
		wantError(t, err, domain.ErrChallengeNotFound)
		wantError(t, consumeChallenge(t, store, challenge("ada").ID), domain.ErrChallengeNotFound)
		got, err := challengeByID(t, store, challenge("ben").ID)
		wantSame(t, got, err, challenge("ben"))
	},

	"removing a session removes its challenges": func(t *testing.T, store ports.Store) {
		ended, lasting := session("ada", "phone"), activeSession("ada", "laptop")
		lasting.IdleEndsAt, lasting.ExpiresAt = hour(20), hour(21)
		removed := inSession(challenge("removed"), ended)
		remaining := []domain.ChallengeState{inSession(challenge("remaining"), lasting), challenge("unbound")}
		addUsers(t, store, user("ada"))
		addSessions(t, store, ended, lasting)
		addChallenges(t, store, append(remaining, removed)...)
		update(t, store, func(ctx context.Context, tx ports.Tx) error {
			deleted, err := tx.Sessions.DeleteExpired(ctx, ended.RevokedAt, 9)
			if err == nil && deleted != 1 {
				return fmt.Errorf("%d sessions were deleted, want 1", deleted)
			}
			return err
		})
		_, err := challengeByID(t, store, removed.ID)
		wantError(t, err, domain.ErrChallengeNotFound)
		for _, s := range remaining {
			got, err := challengeByID(t, store, s.ID)
			wantSame(t, got, err, s)
		}
	},

	"removing a recovery grant removes its challenges": func(t *testing.T, store ports.Store) {
		lasting := recoveryGrant("lasting", "grant")
		remaining := []domain.ChallengeState{underGrant(challenge("remaining"), lasting), challenge("unbound")}
		addUsers(t, store, user("lasting"))
		putRecoveryGrants(t, store, lasting)
		addChallenges(t, store, remaining...)
		for cause, end := range map[string]func(ctx context.Context, tx ports.Tx, g domain.RecoveryGrantState) error{
			"taken": func(ctx context.Context, tx ports.Tx, g domain.RecoveryGrantState) error {
				_, err := tx.RecoveryGrants.Take(ctx, g.Token)
				return err
			},
			"expired": func(ctx context.Context, tx ports.Tx, g domain.RecoveryGrantState) error {
				_, err := tx.RecoveryGrants.DeleteExpired(ctx, g.ExpiresAt, 9)
				return err
			},
			"replaced": func(ctx context.Context, tx ports.Tx, _ domain.RecoveryGrantState) error {
				return tx.RecoveryGrants.Put(ctx, domain.RestoreRecoveryGrant(recoveryGrant("replaced", "replacement")))
			},
		} {
			ending := recoveryGrant(cause, "grant")
			ending.ExpiresAt = lasting.ExpiresAt.Add(-time.Hour)
			addUsers(t, store, user(cause))
			putRecoveryGrants(t, store, ending)
			addChallenges(t, store, underGrant(challenge(cause), ending))
			update(t, store, func(ctx context.Context, tx ports.Tx) error { return end(ctx, tx, ending) })
			if _, err := challengeByID(t, store, challenge(cause).ID); !errors.Is(err, domain.ErrChallengeNotFound) {
				t.Errorf("after its grant was %s: got %v, want %v", cause, err, domain.ErrChallengeNotFound)
			}
		}
		for _, s := range remaining {
			got, err := challengeByID(t, store, s.ID)
			wantSame(t, got, err, s)
		}
	},

	"Add rejects an unknown session or grant": func(t *testing.T, store ports.Store) {
		for name, s := range map[string]domain.ChallengeState{
			"session": inSession(challenge("ada"), session("ada", "phone")),
			"grant":   underGrant(challenge("ada"), recoveryGrant("ada", "recovery")),
		} {
			if err := store.Update(t.Context(), func(tx ports.Tx) error { return tx.Challenges.Add(t.Context(), domain.RestoreChallenge(s)) }); err == nil {
				t.Errorf("a challenge of an unknown %s was added", name)
			}
			_, err := challengeByID(t, store, s.ID)
			wantError(t, err, domain.ErrChallengeNotFound)
		}
	},

	// Requirement: Durability-concurrency
	"of concurrent callers that consume one challenge, one succeeds and its writes are committed": func(t *testing.T, store ports.Store) {
		addChallenges(t, store, challenge("ada"))
		name := func(i int) string { return fmt.Sprint("user", i) }
		won := wantOneWinner(t, concurrently(concurrentCallers, func(i int) error {
			return store.Update(t.Context(), func(tx ports.Tx) error {
				if err := tx.Users.Add(t.Context(), domain.RestoreUser(user(name(i)))); err != nil {
					return err
				}
				return tx.Challenges.Consume(t.Context(), challenge("ada").ID)
			})
		}), domain.ErrChallengeNotFound)
		_, err := challengeByID(t, store, challenge("ada").ID)
		wantError(t, err, domain.ErrChallengeNotFound)
		for i := range concurrentCallers {
			got, err := userByID(t, store, userID(name(i)))
			if i == won {
				wantSame(t, got, err, user(name(i)))
			} else {
				wantError(t, err, domain.ErrUserNotFound)
			}
		}
	},

	"DeleteExpired deletes expired challenges, oldest first, up to the limit": func(t *testing.T, store ports.Store) {
		now := hour(50)
		expiring := func(name string, at time.Time) domain.ChallengeState {
			s := challenge(name)
			s.ExpiresAt = at
			return s
		}
		addChallenges(t, store,
			expiring("just now", now), expiring("oldest", now.Add(-2*time.Hour)), expiring("soon", now.Add(time.Microsecond)),
			expiring("older", now.Add(-time.Hour)), expiring("later", now.Add(time.Hour)))
		for _, step := range []struct{ deleted, remaining string }{
			{"2", "[just now soon later]"},
			{"1", "[soon later]"},
			{"0", "[soon later]"},
		} {
			var deleted int
			update(t, store, func(ctx context.Context, tx ports.Tx) (err error) {
				deleted, err = tx.Challenges.DeleteExpired(ctx, now, 2)
				return err
			})
			remaining := []string{}
			for _, name := range []string{"oldest", "older", "just now", "soon", "later"} {
				if _, err := challengeByID(t, store, challenge(name).ID); err == nil {
					remaining = append(remaining, name)
				}
			}
			if fmt.Sprint(deleted) != step.deleted || fmt.Sprint(remaining) != step.remaining {
				t.Fatalf("deleted %d, remaining %v; want %s, %s", deleted, remaining, step.deleted, step.remaining)
			}
		}
	},
}

func consumeChallenge(t *testing.T, store ports.Store, id domain.ChallengeID) error {
	t.Helper()
	return store.Update(t.Context(), func(tx ports.Tx) error { return tx.Challenges.Consume(t.Context(), id) })
}
