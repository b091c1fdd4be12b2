package admin

import (
	"context"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// ShowUser shows the operator one account.
type ShowUser struct {
	Store ports.Store
	Clock ports.Clock
}

// Account is a user with what opens the account, where it is open, and what happened to it of late.
type Account struct {
	User     *domain.User
	Passkeys domain.Keyring
	Sessions []*domain.Session // up to 100
	Events   []*domain.Event   // the latest 20
}

// Execute fails with domain.ErrUserNotFound.
func (s *ShowUser) Execute(ctx context.Context, who Who) (account Account, err error) {
	const mostSessions, mostEvents = 100, 20
	err = s.Store.View(ctx, func(tx ports.Tx) error {
		if account.User, err = who.find(ctx, tx); err != nil {
			return err
		}
		id := account.User.ID()
		if account.Passkeys, err = tx.Credentials.OfUser(ctx, id); err != nil {
			return err
		}
		if account.Sessions, err = tx.Sessions.Live(ctx, id, s.Clock.Now(), domain.SessionID{}, mostSessions); err != nil {
			return err
		}
		account.Events, err = tx.Events.OfUser(ctx, id, domain.EventID{}, mostEvents)
		return err
	})
	return account, err
}
