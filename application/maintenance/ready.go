package maintenance

import (
	"context"
	"errors"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Ready tells whether requests can be served, those that change something among them: a server that cannot write lets
// nobody in.
type Ready struct{ Store ports.Store }

// Execute asks the store for something that is not there, and for a unit of work that changes nothing: nil means that it
// looked, and that it would have kept a change as far as it knows.
func (r *Ready) Execute(ctx context.Context) error {
	err := r.Store.View(ctx, func(tx ports.Tx) error {
		_, err := tx.Users.ByID(ctx, domain.UserID{})
		return err
	})
	if err != nil && !errors.Is(err, domain.ErrUserNotFound) {
		return err
	}
	return r.Store.Update(ctx, func(ports.Tx) error { return nil })
}
