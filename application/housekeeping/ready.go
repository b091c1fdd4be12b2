package housekeeping

import (
	"context"
	"errors"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Ready tells whether requests can be served.
type Ready struct{ Store ports.Store }

// Execute asks the store for something that is not there: nil means that it looked.
func (r *Ready) Execute(ctx context.Context) error {
	err := r.Store.View(ctx, func(tx ports.Tx) error {
		_, err := tx.Users.ByID(ctx, domain.UserID{})
		return err
	})
	if errors.Is(err, domain.ErrUserNotFound) {
		return nil
	}
	return err
}
