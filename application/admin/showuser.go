package admin

import (
	"context"
	"slices"
	"strings"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// ShowUser shows the operator one account.
type ShowUser struct {
	Store ports.Store
	Clock ports.Clock
}

// AccountDetails is a user with what opens the account, where it is open, and what happened to it of late.
type AccountDetails struct {
	User     *domain.User
	Passkeys domain.Passkeys
	Sessions []*domain.Session // up to 100
	Events   []*domain.Event   // the latest 20, and the latest 10 refused attempts and anomalies, newest first
}

// Execute fails with domain.ErrUserNotFound.
func (s *ShowUser) Execute(ctx context.Context, who UserRef) (account AccountDetails, err error) {
	const mostSessions, mostEvents, mostRefusals = 100, 20, 10
	var changes, refusals []domain.EventKind
	for _, kind := range domain.EventKinds {
		if kind.Repeatable() {
			refusals = append(refusals, kind)
		} else {
			changes = append(changes, kind)
		}
	}
	err = s.Store.View(ctx, func(tx ports.Tx) error {
		if account.User, err = who.find(ctx, tx); err != nil {
			return err
		}
		id := account.User.ID()
		if account.Passkeys, err = tx.Credentials.ListByUser(ctx, id); err != nil {
			return err
		}
		if account.Sessions, err = tx.Sessions.ListActive(ctx, id, s.Clock.Now(), domain.SessionID{}, mostSessions); err != nil {
			return err
		}
		// Apart, since strangers cause refusals every day: they must not push out of sight what changed the account.
		account.Events, err = tx.Events.ListByUser(ctx, id, domain.EventID{}, mostEvents, changes...)
		if err != nil {
			return err
		}
		refused, err := tx.Events.ListByUser(ctx, id, domain.EventID{}, mostRefusals, refusals...)
		account.Events = append(account.Events, refused...)
		return err
	})
	slices.SortFunc(account.Events, func(a, b *domain.Event) int { return strings.Compare(b.ID().String(), a.ID().String()) })
	return account, err
}
