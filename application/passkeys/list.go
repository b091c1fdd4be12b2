package passkeys

import (
	"context"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// List returns all passkeys of the principal, oldest first, including suspended ones.
func (s *Service) List(ctx context.Context, principal identity.Principal) (list domain.Passkeys, err error) {
	err = s.Store.View(ctx, func(tx ports.Tx) error {
		list, err = tx.Credentials.ListByUser(ctx, principal.User.ID())
		return err
	})
	return list, err
}
