package storetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

var sessions = rules{
	"every field is kept": func(t *testing.T, store ports.Store) {
		s := session("ada", "phone")
		wantComplete(t, s)
		addUsers(t, store, user("ada"))
		addSessions(t, store, session("ada", "laptop"), s)
		got, err := sessionByToken(t, store, s.Token)
		wantSame(t, got, err, s)
	},

	"optional fields stay empty": func(t *testing.T, store ports.Store) {
		s := live("ada", "phone")
		s.AMR, s.Device = nil, domain.Device{}
		addUsers(t, store, user("ada"))
		addSessions(t, store, s)
		got, err := sessionByToken(t, store, s.Token)
		wantSame(t, got, err, s)
	},

	"a token is compared byte for byte": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"))
		withToken := func(tag string, token domain.TokenDigest) domain.SessionSnapshot {
			s := live("ada", tag)
			s.Token = token
			return s
		}
		all := []domain.SessionSnapshot{
			withToken("zeros", domain.TokenDigest{}),
			withToken("a", domain.TokenDigest{0: 'a'}),
			withToken("A", domain.TokenDigest{0: 'A'}),
			withToken("end", domain.TokenDigest{31: 1}),
			withToken("invalid UTF-8", domain.TokenDigest{0: 0xff, 1: 0xc3, 31: 0xfe}),
		}
		addSessions(t, store, all...)
		for _, s := range all {
			got, err := sessionByToken(t, store, s.Token)
			wantSame(t, got, err, s)
		}
		_, err := sessionByToken(t, store, domain.TokenDigest{31: 2})
		wantError(t, err, domain.ErrUnauthenticated)
	},

	"a token is added once": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"))
		first, second := live("ada", "first"), live("ada", "second")
		second.Token = first.Token
		addSessions(t, store, first)
		err := store.Update(t.Context(), func(tx ports.Tx) error { return tx.Sessions.Add(t.Context(), domain.RestoreSession(second)) })
		if err == nil {
			t.Fatal("the second was added")
		}
		got, err := sessionByToken(t, store, first.Token)
		wantSame(t, got, err, first)
	},

	"an unknown one opens nothing and is not saved": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"))
		s := live("ada", "phone")
		err := store.Update(t.Context(), func(tx ports.Tx) error { return tx.Sessions.Save(t.Context(), domain.RestoreSession(s)) })
		wantError(t, err, domain.ErrUnauthenticated)
		_, err = sessionByToken(t, store, s.Token)
		wantError(t, err, domain.ErrUnauthenticated)
	},

	"all that can change is saved": func(t *testing.T, store ports.Store) {
		before := live("ada", "phone")
		after := before
		after.CredentialID = "another"
		after.Token = domain.TokenDigest(noise("another token", 32))
		after.Assurance = "recovery"
		after.AMR = []string{"swk"}
		after.Device = domain.Device{Name: "Chrome on Android", UserAgent: "Mozilla/5.0 (Linux; Android 16)", IP: "192.0.2.9"}
		after.AuthTime, after.LastSeenAt, after.IdleEndsAt, after.ExpiresAt, after.RevokedAt = hour(20), hour(21), hour(22), hour(23), hour(24)
		wantChanged(t, before, after, "ID", "UserID", "CreatedAt")
		bystander := live("ada", "laptop")
		addUsers(t, store, user("ada"))
		addSessions(t, store, before, bystander)
		for _, state := range []domain.SessionSnapshot{after, before} {
			update(t, store, func(ctx context.Context, tx ports.Tx) error {
				return tx.Sessions.Save(ctx, domain.RestoreSession(state))
			})
			got, err := sessionByToken(t, store, state.Token)
			wantSame(t, got, err, state)
		}
		_, err := sessionByToken(t, store, after.Token)
		wantError(t, err, domain.ErrUnauthenticated)
		got, err := sessionByToken(t, store, bystander.Token)
		wantSame(t, got, err, bystander)
	},

	"what comes out is a copy": func(t *testing.T, store ports.Store) {
		s := live("ada", "phone")
		addUsers(t, store, user("ada"))
		given := domain.RestoreSession(s)
		update(t, store, func(ctx context.Context, tx ports.Tx) error { return tx.Sessions.Add(ctx, given) })
		given.Revoke(hour(20))
		got, err := sessionByToken(t, store, s.Token)
		wantSame(t, got, err, s)
		got.Revoke(hour(21))
		got, err = sessionByToken(t, store, s.Token)
		wantSame(t, got, err, s)
	},

	"sweeping takes the ended, oldest first, so many and no more": func(t *testing.T, store ports.Store) {
		now := hour(50)
		addUsers(t, store, user("ada"))
		idle := func(tag string, at time.Time) domain.SessionSnapshot {
			s := live("ada", tag)
			s.IdleEndsAt, s.ExpiresAt = at, at.Add(time.Hour)
			return s
		}
		revoked := func(tag string, at time.Time) domain.SessionSnapshot {
			s := idle(tag, now.Add(24*time.Hour))
			s.RevokedAt = at
			return s
		}
		all := []domain.SessionSnapshot{
			idle("idle now", now), revoked("revoked now", now), idle("idle soon", now.Add(time.Microsecond)),
			revoked("revoked long ago", now.Add(-2*time.Hour)), idle("idle for long", now.Add(-3*time.Hour)),
			revoked("revoked soon", now.Add(time.Microsecond)), idle("lasting", now.Add(48*time.Hour)),
		}
		addSessions(t, store, all...)
		for _, step := range []struct{ swept, left string }{
			{"2", "[idle now revoked now idle soon revoked soon lasting]"},
			{"2", "[idle soon revoked soon lasting]"},
			{"0", "[idle soon revoked soon lasting]"},
		} {
			var swept int
			update(t, store, func(ctx context.Context, tx ports.Tx) (err error) {
				swept, err = tx.Sessions.Sweep(ctx, now, 2)
				return err
			})
			left := []string{}
			for _, tag := range []string{"idle for long", "revoked long ago", "idle now", "revoked now", "idle soon", "revoked soon", "lasting"} {
				if _, err := sessionByToken(t, store, live("ada", tag).Token); err == nil {
					left = append(left, tag)
				}
			}
			if fmt.Sprint(swept) != step.swept || fmt.Sprint(left) != step.left {
				t.Fatalf("swept %d, left %v; want %s, %s", swept, left, step.swept, step.left)
			}
		}
	},
}
