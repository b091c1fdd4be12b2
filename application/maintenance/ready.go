package maintenance

import (
	"context"
	"errors"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Ready returns an error if the store cannot be read or written: without writes no user can sign in. It reads a user that does not exist
// and commits an empty transaction.
func (s *Service) Ready(ctx context.Context) error {
	err := s.Store.View(ctx, func(tx ports.Tx) error {
		_, err := tx.Users.ByID(ctx, domain.UserID{})
		return err
	})
	if err != nil && !errors.Is(err, domain.ErrUserNotFound) {
		return err
	}
	return s.Store.Update(ctx, func(ports.Tx) error { return nil })
}
