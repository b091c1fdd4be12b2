package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

var signingKeys = rules{
	"every field is stored": func(t *testing.T, store ports.Store) {
		key := signingKey("key")
		wantComplete(t, key)
		addSigningKeys(t, store, key)
		got, err := allSigningKeys(t, store)
		wantList(t, got, err, key)
	},

	"All returns no error without keys": func(t *testing.T, store ports.Store) {
		got, err := allSigningKeys(t, store)
		wantList(t, got, err)
	},

	"All returns the key that signs first at the start": func(t *testing.T, store ports.Store) {
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

	"a duplicate id is rejected": func(t *testing.T, store ports.Store) {
		first, duplicate := signingKey("key"), signingKey("key")
		duplicate.EncryptedKey = fixedBytes("another", 150)
		addSigningKeys(t, store, first)
		err := store.Update(t.Context(), func(tx ports.Tx) error {
			return tx.SigningKeys.Add(t.Context(), domain.RestoreSigningKey(duplicate))
		})
		if err == nil {
			t.Fatal("the duplicate was added")
		}
		got, err := allSigningKeys(t, store)
		wantList(t, got, err, first)
	},

	"Remove removes one, and a missing one is no error": func(t *testing.T, store ports.Store) {
		removed, remaining := signingKey("removed"), signingKey("remaining")
		addSigningKeys(t, store, removed, remaining)
		for range 2 {
			update(t, store, func(ctx context.Context, tx ports.Tx) error { return tx.SigningKeys.Remove(ctx, removed.ID) })
			got, err := allSigningKeys(t, store)
			wantList(t, got, err, remaining)
		}
	},
}
