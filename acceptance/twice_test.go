package acceptance

import (
	"context"
	"errors"

	"github.com/keylodge/keylodge/ports"
)

// twice is a store on which everything is tried once in vain before it is done, as it may be on a store that settles
// conflicts by trying again. Nothing of the first try may be left, in the store or in its caller.
type twice struct{ ports.Store }

var errInVain = errors.New("tried in vain")

func (s twice) Update(ctx context.Context, fn func(tx ports.Tx) error) error {
	err := s.Store.Update(ctx, func(tx ports.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return errInVain
	})
	if !errors.Is(err, errInVain) {
		return err
	}
	return s.Store.Update(ctx, fn)
}

func (s twice) View(ctx context.Context, fn func(tx ports.Tx) error) error {
	err := s.Store.View(ctx, func(tx ports.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return errInVain
	})
	if !errors.Is(err, errInVain) {
		return err
	}
	return s.Store.View(ctx, fn)
}
