package acceptance

import (
	"context"
	"errors"

	"github.com/keylodge/keylodge/ports"
)

// retryingStore runs every transaction twice and rolls the first run back, like a store that retries conflicting transactions. The
// first run must have no effect, neither in the store nor in its caller.
type retryingStore struct{ ports.Store }

var errRetry = errors.New("rolled back to run again")

func (s retryingStore) Update(ctx context.Context, fn func(tx ports.Tx) error) error {
	err := s.Store.Update(ctx, func(tx ports.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return errRetry
	})
	if !errors.Is(err, errRetry) {
		return err
	}
	return s.Store.Update(ctx, fn)
}

func (s retryingStore) View(ctx context.Context, fn func(tx ports.Tx) error) error {
	err := s.Store.View(ctx, func(tx ports.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return errRetry
	})
	if !errors.Is(err, errRetry) {
		return err
	}
	return s.Store.View(ctx, fn)
}
