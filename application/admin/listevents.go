package admin

import (
	"context"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// EventPage is one page of the events of all users, oldest first.
type EventPage struct {
	Events []*domain.Event
	More   bool
	Next   domain.EventID // the events of the next page come after it
}

// settleTime is the age from which an event is listed: a transaction that began earlier may still commit an event with a lower id, which
// a client that follows the events would miss.
const settleTime = 10 * time.Second

// EventFilter selects events. The zero value selects all.
type EventFilter struct {
	User  domain.UserRef // whose events only; zero for those of all users and of none
	Kinds []domain.EventKind
}

// ListEvents returns up to limit events that the filter selects, oldest first, that come after the given one; the zero id starts at the
// oldest. It returns domain.ErrUserNotFound. Events of the last ten seconds are not listed yet. A client follows the events by passing
// Next of the previous page, also if that page was empty. It needs the scope events:read.
func (s *Service) ListEvents(ctx context.Context, filter EventFilter, after domain.EventID, limit int) (page EventPage, err error) {
	if err := s.operator.RequireScope(domain.ScopeEventsRead); err != nil {
		return page, err
	}
	owner, err := s.ownerOf(ctx, filter.User)
	if err != nil {
		return page, err
	}
	settled := domain.FirstEventID(s.Clock.Now().Add(-settleTime))
	err = s.Store.View(ctx, func(tx ports.Tx) error {
		if owner.IsZero() {
			page.Events, err = tx.Events.List(ctx, after, settled, limit+1, filter.Kinds...)
		} else {
			page.Events, err = tx.Events.ListByUserAfter(ctx, owner, after, settled, limit+1, filter.Kinds...)
		}
		return err
	})
	if page.More = len(page.Events) > limit; page.More {
		page.Events = page.Events[:limit]
		page.Next = page.Events[limit-1].ID()
		return page, err
	}
	// Events of other kinds need not be read again.
	if page.Next = settled; after.After(settled) {
		page.Next = after
	}
	return page, err
}
