package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

var signingKeys = rules{
	"every field is kept": func(t *testing.T, store ports.Store) {
		key := signingKey("key")
		wantComplete(t, key)
		addSigningKeys(t, store, key)
		got, err := allSigningKeys(t, store)
		wantList(t, got, err, key)
	},

	"none is no error": func(t *testing.T, store ports.Store) {
		got, err := allSigningKeys(t, store)
		wantList(t, got, err)
	},

	"the first to sign comes first": func(t *testing.T, store ports.Store) {
		signing := func(id string, from, created time.Time) domain.SigningKeyState {
			s := signingKey(id)
			s.SignsFrom, s.CreatedAt = from, created
			return s
		}
		first := signing("b", hour(1), hour(3))
		second := signing("c", hour(1).Add(time.Microsecond), hour(2))
		third := signing("a", hour(2), hour(1))
		addSigningKeys(t, store, second, third, first)
		got, err := allSigningKeys(t, store)
		wantList(t, got, err, first, second, third)
	},

	"ids are compared byte for byte": func(t *testing.T, store ports.Store) {
		lower, upper := signingKey("kid-_a"), signingKey("kid-_A")
		upper.SignsFrom = lower.SignsFrom.Add(time.Hour)
		addSigningKeys(t, store, lower, upper)
		update(t, store, func(ctx context.Context, tx ports.Tx) error { return tx.SigningKeys.Remove(ctx, lower.ID) })
		got, err := allSigningKeys(t, store)
		wantList(t, got, err, upper)
	},

	"an id is added once": func(t *testing.T, store ports.Store) {
		first, again := signingKey("key"), signingKey("key")
		again.EncryptedKey = fixedBytes("another", 150)
		addSigningKeys(t, store, first)
		err := store.Update(t.Context(), func(tx ports.Tx) error {
			return tx.SigningKeys.Add(t.Context(), domain.RestoreSigningKey(again))
		})
		if err == nil {
			t.Fatal("the second was added")
		}
		got, err := allSigningKeys(t, store)
		wantList(t, got, err, first)
	},

	"removing takes one, and one that is not there is no error": func(t *testing.T, store ports.Store) {
		leaving, staying := signingKey("leaving"), signingKey("staying")
		addSigningKeys(t, store, leaving, staying)
		for range 2 {
			update(t, store, func(ctx context.Context, tx ports.Tx) error { return tx.SigningKeys.Remove(ctx, leaving.ID) })
			got, err := allSigningKeys(t, store)
			wantList(t, got, err, staying)
		}
	},
}
