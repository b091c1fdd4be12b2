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
	"fn does not run if the context has ended": func(t *testing.T, store ports.Store) {
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

	"a context that ends while fn runs rolls back": func(t *testing.T, store ports.Store) {
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

	"a context that ends between two writes rolls back": func(t *testing.T, store ports.Store) {
		seed(t, store)
		ctx := &expiringContext{t.Context(), make(chan struct{})}
		err := store.Update(ctx, func(tx ports.Tx) error {
			close(ctx.expired)
			return writeEverything(ctx, tx)
		})
		wantError(t, err, context.DeadlineExceeded)
		wantSeedOnly(t, store)
		update(t, store, writeEverything)
	},

	"a context that ends while a View runs is the error of the View": func(t *testing.T, store ports.Store) {
		ctx, cancel := context.WithCancel(t.Context())
		wantError(t, store.View(ctx, func(ports.Tx) error { cancel(); return nil }), context.Canceled)
	},

	"a caller waits for the writes of another one until its context ends": func(t *testing.T, store ports.Store) {
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
		go updateAndReport(ctx, store, result)
		AwaitBlocked(t, 1, "storetest.updateAndReport") // for the writer, the network, or a lock
		cancel()
		select {
		case err := <-result:
			if !errors.Is(err, context.Canceled) {
				t.Errorf("got error %v, want %v", err, context.Canceled)
			}
		case <-time.After(5 * time.Minute): // reached only if the test fails
			t.Error("the Update still waits after its context has ended")
		}
		close(released)
		wantError(t, <-ended, errCaller)
		wantSeedOnly(t, store)
		update(t, store, writeEverything)
	},
}

func updateAndReport(ctx context.Context, store ports.Store, result chan<- error) {
	result <- store.Update(ctx, func(tx ports.Tx) error { return writeEverything(ctx, tx) })
}

// expiringContext is a context whose deadline passes when expired is closed.
type expiringContext struct {
	context.Context
	expired chan struct{}
}

func (c *expiringContext) Done() <-chan struct{} { return c.expired }

func (c *expiringContext) Err() error {
	select {
	case <-c.expired:
		return context.DeadlineExceeded
	default:
		return c.Context.Err()
	}
}
