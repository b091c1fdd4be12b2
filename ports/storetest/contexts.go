package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
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
		ctx := &lapsing{t.Context(), make(chan struct{})}
		err := store.Update(ctx, func(tx ports.Tx) error {
			close(ctx.lapsed)
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

	"nobody waits for another's writes longer than theirs lasts": func(t *testing.T, store ports.Store) {
		seed(t, store)
		written, released, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
		go func() {
			ended <- store.Update(t.Context(), func(tx ports.Tx) error {
				defer close(written)
				if err := tx.Users.Save(t.Context(), domain.RestoreUser(renamed(user("ada")))); err != nil {
					return err
				}
				written <- struct{}{}
				<-released
				return errCaller
			})
		}()
		<-written
		ctx, cancel := context.WithCancel(t.Context())
		result := make(chan error, 1)
		go waitsInVain(ctx, store, result)
		AwaitBlocked(t, 1, "storetest.waitsInVain") // for its turn, for the network, or for what the other one writes
		cancel()
		select {
		case err := <-result:
			if !errors.Is(err, context.Canceled) {
				t.Errorf("got error %v, want %v", err, context.Canceled)
			}
		case <-time.After(5 * time.Minute): // for a store that hangs
			t.Error("still waiting")
		}
		close(released)
		wantError(t, <-ended, errCaller)
		wantSeedOnly(t, store)
		update(t, store, writeEverything)
	},
}

func waitsInVain(ctx context.Context, store ports.Store, result chan<- error) {
	result <- store.Update(ctx, func(tx ports.Tx) error { return writeEverything(ctx, tx) })
}

// lapsing is a context whose deadline passes when lapsed is closed.
type lapsing struct {
	context.Context
	lapsed chan struct{}
}

func (c *lapsing) Done() <-chan struct{} { return c.lapsed }

func (c *lapsing) Err() error {
	select {
	case <-c.lapsed:
		return context.DeadlineExceeded
	default:
		return c.Context.Err()
	}
}
