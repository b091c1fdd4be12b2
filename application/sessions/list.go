package sessions

import (
	"context"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// List shows a person where they are signed in.
type List struct {
	Store ports.Store
	Clock ports.Clock
}

// Page is a part of a list.
type Page struct {
	Sessions []*domain.Session
	More     bool // there are further ones after the last of these
}

// Execute returns up to limit sessions that last, newest first, after the given one: from the newest for the zero id. The
// caller's own is told as it is now.
func (l *List) Execute(ctx context.Context, actor identity.Principal, after domain.SessionID, limit int) (Page, error) {
	var live []*domain.Session
	err := l.Store.View(ctx, func(tx ports.Tx) (err error) {
		live, err = tx.Sessions.ListActive(ctx, actor.User.ID(), l.Clock.Now(), after, limit+1)
		return err
	})
	if err != nil {
		return Page{}, err
	}
	page := Page{Sessions: live[:min(limit, len(live))], More: len(live) > limit}
	for i, session := range page.Sessions {
		if session.ID() == actor.Session.ID() {
			page.Sessions[i] = actor.Session
		}
	}
	return page, nil
}
