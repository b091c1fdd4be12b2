package storetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

var authorizationCodes = rules{
	"every field is stored": func(t *testing.T, store ports.Store) {
		code := authorizationCode("ada", "phone")
		wantComplete(t, redeemed(code))
		addAuthorizationCodesOf(t, store, "ada", "ben")
		got, err := authorizationCodeOf(t, store, code.Digest)
		wantSame(t, got, err, code)
		wantError(t, redeem(t, store, redeemed(code)), nil)
		got, err = authorizationCodeOf(t, store, code.Digest)
		wantSame(t, got, err, redeemed(code))
		got, err = authorizationCodeOf(t, store, authorizationCode("ben", "phone").Digest)
		wantSame(t, got, err, authorizationCode("ben", "phone"))
	},

	"a redemption that opened no session is stored": func(t *testing.T, store ports.Store) {
		addAuthorizationCodesOf(t, store, "ada")
		failed := redeemed(authorizationCode("ada", "phone"))
		failed.IssuedSession = domain.SessionID{}
		wantError(t, redeem(t, store, failed), nil)
		got, err := authorizationCodeOf(t, store, failed.Digest)
		wantSame(t, got, err, failed)
	},

	"an unknown code is not found": func(t *testing.T, store ports.Store) {
		addAuthorizationCodesOf(t, store, "ben")
		_, err := authorizationCodeOf(t, store, authorizationCode("ada", "phone").Digest)
		wantError(t, err, domain.ErrAuthorizationCodeInvalid)
		wantError(t, redeem(t, store, redeemed(authorizationCode("ada", "phone"))), domain.ErrAuthorizationCodeReused)
	},

	"a digest is compared byte for byte": func(t *testing.T, store ports.Store) {
		digests := []domain.TokenDigest{{}, {0: 'a'}, {0: 'A'}, {31: 1}, {0: 0xff, 1: 0xc3, 31: 0xfe}}
		nth := func(i int) domain.AuthorizationCodeState {
			code := authorizationCode("ada", "phone")
			code.Digest, code.ReturnTo = digests[i], fmt.Sprint("https://app.example.org/", i)
			return code
		}
		addUsers(t, store, user("ada"))
		addSessions(t, store, activeSession("ada", "phone"))
		for i := range digests {
			addAuthorizationCodes(t, store, nth(i))
		}
		for i, digest := range digests {
			got, err := authorizationCodeOf(t, store, digest)
			wantSame(t, got, err, nth(i))
		}
	},

	"a code with an existing digest or without a session is rejected": func(t *testing.T, store ports.Store) {
		addAuthorizationCodesOf(t, store, "ada", "ben")
		duplicate, orphan := authorizationCode("ben", "phone"), authorizationCode("ben", "gone")
		duplicate.Digest = authorizationCode("ada", "phone").Digest
		for _, code := range []domain.AuthorizationCodeState{duplicate, orphan} {
			err := store.Update(t.Context(), func(tx ports.Tx) error {
				return tx.AuthorizationCodes.Add(t.Context(), domain.RestoreAuthorizationCode(code))
			})
			if err == nil {
				t.Errorf("%+v was stored", code)
			}
		}
		got, err := authorizationCodeOf(t, store, duplicate.Digest)
		wantSame(t, got, err, authorizationCode("ada", "phone"))
		_, err = authorizationCodeOf(t, store, orphan.Digest)
		wantError(t, err, domain.ErrAuthorizationCodeInvalid)
	},

	"a second redemption changes nothing": func(t *testing.T, store ports.Store) {
		addAuthorizationCodesOf(t, store, "ada")
		first := redeemed(authorizationCode("ada", "phone"))
		second := first
		second.RedeemedAt, second.IssuedSession = hour(43), session("ada", "second").ID
		wantError(t, redeem(t, store, first), nil)
		wantError(t, redeem(t, store, second), domain.ErrAuthorizationCodeReused)
		got, err := authorizationCodeOf(t, store, first.Digest)
		wantSame(t, got, err, first)
	},

	"of concurrent callers that redeem one code, one succeeds and its writes are committed": func(t *testing.T, store ports.Store) {
		addAuthorizationCodesOf(t, store, "ada")
		code := authorizationCode("ada", "phone")
		nth := func(i int) domain.SessionState { return activeSession("ada", fmt.Sprint("issued", i)) }
		won := wantOneWinner(t, concurrently(concurrentCallers, func(i int) error {
			return store.Update(t.Context(), func(tx ports.Tx) error {
				if err := tx.Sessions.Add(t.Context(), domain.RestoreSession(nth(i))); err != nil {
					return err
				}
				redemption := redeemed(code)
				redemption.IssuedSession = nth(i).ID
				return tx.AuthorizationCodes.Redeem(t.Context(), domain.RestoreAuthorizationCode(redemption))
			})
		}), domain.ErrAuthorizationCodeReused)
		for i := range concurrentCallers {
			_, err := sessionByID(t, store, nth(i).ID)
			if (err == nil) != (i == won) {
				t.Errorf("the session of caller %d: %v; caller %d succeeded", i, err, won)
			}
		}
		want := redeemed(code)
		want.IssuedSession = nth(won).ID
		got, err := authorizationCodeOf(t, store, code.Digest)
		wantSame(t, got, err, want)
	},

	"a code is deleted with the session that issued it": func(t *testing.T, store ports.Store) {
		addAuthorizationCodesOf(t, store, "ada", "ben")
		update(t, store, func(ctx context.Context, tx ports.Tx) error {
			s := activeSession("ada", "phone")
			s.RevokedAt = hour(9)
			if err := tx.Sessions.Save(ctx, domain.RestoreSession(s)); err != nil {
				return err
			}
			_, err := tx.Sessions.DeleteExpired(ctx, hour(9), 9)
			return err
		})
		_, err := authorizationCodeOf(t, store, authorizationCode("ada", "phone").Digest)
		wantError(t, err, domain.ErrAuthorizationCodeInvalid)
		got, err := authorizationCodeOf(t, store, authorizationCode("ben", "phone").Digest)
		wantSame(t, got, err, authorizationCode("ben", "phone"))
	},

	"DeleteExpired deletes expired codes, oldest first, up to the limit": func(t *testing.T, store ports.Store) {
		now := hour(50)
		names := []string{"oldest", "older", "now", "soon", "later"}
		for name, at := range map[string]time.Time{
			"oldest": now.Add(-2 * time.Hour), "older": now.Add(-time.Hour), "now": now, "soon": now.Add(time.Microsecond), "later": now.Add(time.Hour),
		} {
			code := authorizationCode(name, "phone")
			code.ExpiresAt = at
			addUsers(t, store, user(name))
			addSessions(t, store, activeSession(name, "phone"))
			addAuthorizationCodes(t, store, code)
		}
		older := authorizationCode("older", "phone")
		wantError(t, redeem(t, store, redeemed(older)), nil)
		for _, step := range []struct{ deleted, remaining string }{
			{"2", "[now soon later]"},
			{"1", "[soon later]"},
			{"0", "[soon later]"},
		} {
			var deleted int
			update(t, store, func(ctx context.Context, tx ports.Tx) (err error) {
				deleted, err = tx.AuthorizationCodes.DeleteExpired(ctx, now, 2)
				return err
			})
			remaining := []string{}
			for _, name := range names {
				if _, err := authorizationCodeOf(t, store, authorizationCode(name, "phone").Digest); err == nil {
					remaining = append(remaining, name)
				}
			}
			if fmt.Sprint(deleted) != step.deleted || fmt.Sprint(remaining) != step.remaining {
				t.Fatalf("deleted %d, remaining %v; want %s, %s", deleted, remaining, step.deleted, step.remaining)
			}
		}
	},
}

// addAuthorizationCodesOf adds users, each with an active session and a code of it.
func addAuthorizationCodesOf(t *testing.T, store ports.Store, owners ...string) {
	t.Helper()
	for _, owner := range owners {
		addUsers(t, store, user(owner))
		addSessions(t, store, activeSession(owner, "phone"))
		addAuthorizationCodes(t, store, authorizationCode(owner, "phone"))
	}
}

func redeem(t *testing.T, store ports.Store, s domain.AuthorizationCodeState) error {
	t.Helper()
	return store.Update(t.Context(), func(tx ports.Tx) error {
		return tx.AuthorizationCodes.Redeem(t.Context(), domain.RestoreAuthorizationCode(s))
	})
}
