package account

import (
	"context"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// EventPage is a page of events.
type EventPage struct {
	Events []*domain.Event
	More   bool // whether events follow the page
}

// Events returns up to limit security events of the user, newest first, older than the event before; the zero id starts with the
// newest. With kinds, it returns events of these kinds only.
func (s *Service) Events(ctx context.Context, principal identity.Principal, before domain.EventID, limit int, kinds ...domain.EventKind) (EventPage, error) {
	var events []*domain.Event
	err := s.Store.View(ctx, func(tx ports.Tx) (err error) {
		events, err = tx.Events.ListByUser(ctx, principal.User.ID(), before, limit+1, kinds...)
		return err
	})
	return EventPage{Events: events[:min(limit, len(events))], More: len(events) > limit}, err
}
