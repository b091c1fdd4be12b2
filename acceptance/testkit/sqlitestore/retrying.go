package sqlitestore

import (
	"context"
	"errors"

	"github.com/keylodge/keylodge/ports"
)

// Retrying is a store that runs every transaction twice and rolls the first run back, like a store that retries conflicting
// transactions. The first run must have no effect, neither in the store nor in its caller.
type Retrying struct{ ports.Store }

var errRetry = errors.New("rolled back to run again")

// Update runs fn twice. It runs fn once if the first run returns an error.
func (s Retrying) Update(ctx context.Context, fn func(tx ports.Tx) error) error {
	return runTwice(ctx, s.Store.Update, fn)
}

// View runs fn twice. It runs fn once if the first run returns an error.
func (s Retrying) View(ctx context.Context, fn func(tx ports.Tx) error) error {
	return runTwice(ctx, s.Store.View, fn)
}

func runTwice(ctx context.Context, run func(context.Context, func(ports.Tx) error) error, fn func(ports.Tx) error) error {
	err := run(ctx, func(tx ports.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return errRetry
	})
	if !errors.Is(err, errRetry) {
		return err
	}
	return run(ctx, fn)
}
