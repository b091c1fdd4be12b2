package account

import (
	"context"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Events shows a person their security log.
type Events struct{ Store ports.Store }

// EventPage is a part of the log.
type EventPage struct {
	Events []*domain.Event
	More   bool // there are older ones
}

// Execute returns up to limit events, newest first, that came before the given one: from the newest for the zero id. It
// returns those of the given kinds only, if there are any.
func (e *Events) Execute(ctx context.Context, actor identity.Principal, before domain.EventID, limit int, kinds ...domain.EventKind) (EventPage, error) {
	var events []*domain.Event
	err := e.Store.View(ctx, func(tx ports.Tx) (err error) {
		events, err = tx.Events.ListByUser(ctx, actor.User.ID(), before, limit+1, kinds...)
		return err
	})
	return EventPage{Events: events[:min(limit, len(events))], More: len(events) > limit}, err
}
