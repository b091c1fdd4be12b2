package acceptance

import (
	"context"
	"errors"

	"github.com/keylodge/keylodge/ports"
)

// retryingStore is a store on which everything is tried once in vain before it is done, as it may be on a store that settles
// conflicts by trying again. Nothing of the first try may be left, in the store or in its caller.
type retryingStore struct{ ports.Store }

var errRetry = errors.New("tried in vain")

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
