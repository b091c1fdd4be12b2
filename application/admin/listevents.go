package admin

import (
	"context"
	"slices"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// EventPage is one page of the events of all users, oldest first.
type EventPage struct {
	Events []*domain.Event
	More   bool
}

// settleTime is the age from which an event is listed: a transaction that began earlier may still commit an event with a lower id, which
// a client that follows the events would miss.
const settleTime = 10 * time.Second

// ListEvents returns up to limit events of all users, oldest first, that come after the given one; the zero id starts at the oldest. With
// kinds, it returns events of these kinds only. Events of the last ten seconds are not listed yet. A client follows the events by
// passing the id of the last one that it has received. It needs the scope events:read.
func (s *Service) ListEvents(ctx context.Context, after domain.EventID, limit int, kinds ...domain.EventKind) (page EventPage, err error) {
	if err := s.operator.RequireScope(domain.ScopeEventsRead); err != nil {
		return page, err
	}
	settled := s.Clock.Now().Add(-settleTime)
	err = s.Store.View(ctx, func(tx ports.Tx) error {
		page.Events, err = tx.Events.List(ctx, after, limit+1, kinds...)
		return err
	})
	if unsettled := slices.IndexFunc(page.Events, func(e *domain.Event) bool { return e.State().At.After(settled) }); unsettled >= 0 {
		page.Events = page.Events[:unsettled]
	}
	if page.More = len(page.Events) > limit; page.More {
		page.Events = page.Events[:limit]
	}
	return page, err
}
