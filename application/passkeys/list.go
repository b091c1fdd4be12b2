// Package passkeys is what people do with their own passkeys.
package passkeys

import (
	"context"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// List shows a person their passkeys.
type List struct{ Store ports.Store }

// Execute returns all of them, oldest first, suspended ones among them.
func (l *List) Execute(ctx context.Context, actor identity.Principal) (list domain.Passkeys, err error) {
	err = l.Store.View(ctx, func(tx ports.Tx) error {
		list, err = tx.Credentials.ListByUser(ctx, actor.User.ID())
		return err
	})
	return list, err
}
