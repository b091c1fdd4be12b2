package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

var totps = rules{
	"every field is stored": func(t *testing.T, store ports.Store) {
		app := totp("ada")
		wantComplete(t, app)
		addUsers(t, store, user("ada"), user("ben"))
		saveTOTPs(t, store, totp("ben"), app)
		got, err := totpOf(t, store, "ada")
		wantSame(t, got, err, app)
	},

	"optional fields stay empty": func(t *testing.T, store ports.Store) {
		pending, confirmed := totp("ada"), totp("ben")
		pending.Secret, pending.ConfirmedAt, pending.LastStep = nil, time.Time{}, 0
		confirmed.PendingSecret, confirmed.PendingAt = nil, time.Time{}
		addUsers(t, store, user("ada"), user("ben"), user("cem"))
		saveTOTPs(t, store, pending, confirmed, domain.TOTPState{UserID: userID("cem")})
		for owner, want := range map[string]domain.TOTPState{"ada": pending, "ben": confirmed, "cem": {UserID: userID("cem")}} {
			got, err := totpOf(t, store, owner)
			wantSame(t, got, err, want)
		}
	},

	"Get returns an empty TOTP for a user without one": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"), user("ben"))
		saveTOTPs(t, store, totp("ben"))
		got, err := totpOf(t, store, "ada")
		wantSame(t, got, err, domain.TOTPState{UserID: userID("ada")})
	},

	"Save stores every mutable field": func(t *testing.T, store ports.Store) {
		before := totp("ada")
		after := domain.TOTPState{UserID: before.UserID, Secret: before.PendingSecret, ConfirmedAt: hour(30), LastStep: 3}
		wantChanged(t, before, after, "UserID")
		addUsers(t, store, user("ada"), user("ben"))
		saveTOTPs(t, store, totp("ben"))
		for _, state := range []domain.TOTPState{before, after, before} {
			saveTOTPs(t, store, state)
			got, err := totpOf(t, store, "ada")
			wantSame(t, got, err, state)
		}
		got, err := totpOf(t, store, "ben")
		wantSame(t, got, err, totp("ben"))
	},

	"Remove removes one, and a missing one is no error": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"), user("ben"))
		saveTOTPs(t, store, totp("ada"), totp("ben"))
		for range 2 {
			update(t, store, func(ctx context.Context, tx ports.Tx) error { return tx.TOTPs.Remove(ctx, userID("ada")) })
			got, err := totpOf(t, store, "ada")
			wantSame(t, got, err, domain.TOTPState{UserID: userID("ada")})
			got, err = totpOf(t, store, "ben")
			wantSame(t, got, err, totp("ben"))
		}
	},

	"returned aggregates are copies": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"))
		given := domain.RestoreTOTP(totp("ada"))
		update(t, store, func(ctx context.Context, tx ports.Tx) error { return tx.TOTPs.Save(ctx, given) })
		given.BeginSetup([]byte("another"), hour(30))
		got, err := totpOf(t, store, "ada")
		wantSame(t, got, err, totp("ada"))
		got.Confirm(1, hour(31))
		got, err = totpOf(t, store, "ada")
		wantSame(t, got, err, totp("ada"))
	},
}
