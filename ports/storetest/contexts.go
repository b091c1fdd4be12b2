package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/keylodge/keylodge/ports"
)

var contexts = rules{
	"one that has ended runs nothing": func(t *testing.T, store ports.Store) {
		seed(t, store)
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		expired, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
		defer cancel()
		for want, ctx := range map[error]context.Context{context.Canceled: cancelled, context.DeadlineExceeded: expired} {
			wantError(t, store.Update(ctx, func(tx ports.Tx) error { return writeEverything(ctx, tx) }), want)
			wantError(t, store.View(ctx, func(ports.Tx) error { return nil }), want)
		}
		wantSeedOnly(t, store)
	},

	"one that ends while fn runs keeps nothing": func(t *testing.T, store ports.Store) {
		seed(t, store)
		ctx, cancel := context.WithCancel(t.Context())
		err := store.Update(ctx, func(tx ports.Tx) error {
			err := writeEverything(ctx, tx)
			cancel()
			return err
		})
		wantError(t, err, context.Canceled)
		wantSeedOnly(t, store)
	},

	"one that ends between two writes keeps nothing": func(t *testing.T, store ports.Store) {
		seed(t, store)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		err := store.Update(ctx, func(tx ports.Tx) error {
			<-ctx.Done()
			return writeEverything(ctx, tx)
		})
		wantError(t, err, context.DeadlineExceeded)
		wantSeedOnly(t, store)
		update(t, store, writeEverything)
	},

	"one that ends while a view runs is the view's error": func(t *testing.T, store ports.Store) {
		ctx, cancel := context.WithCancel(t.Context())
		wantError(t, store.View(ctx, func(ports.Tx) error { cancel(); return nil }), context.Canceled)
	},

	"nobody waits for their turn longer than theirs lasts": func(t *testing.T, store ports.Store) {
		seed(t, store)
		release := occupy(t, store)
		ctx, cancel := context.WithCancel(t.Context())
		result := make(chan error, 1)
		go func() { result <- store.Update(ctx, func(tx ports.Tx) error { return writeEverything(ctx, tx) }) }()
		time.Sleep(patience) // for it to queue up
		cancel()
		select {
		case err := <-result:
			wantError(t, err, context.Canceled)
		case <-time.After(10 * time.Second):
			t.Error("still waiting")
		}
		release()
		wantSeedOnly(t, store)
		update(t, store, writeEverything)
	},
}
