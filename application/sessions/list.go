package sessions

import (
	"context"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Page is a page of sessions.
type Page struct {
	Sessions []*domain.Session
	More     bool // whether sessions follow the page
}

// List returns up to limit active sessions of the user, newest first, that follow the session after; the zero id starts with
// the newest. The session of the request has the use that WriteLastSeen has not stored yet.
func (s *Service) List(ctx context.Context, principal identity.Principal, after domain.SessionID, limit int) (Page, error) {
	var active []*domain.Session
	err := s.Store.View(ctx, func(tx ports.Tx) (err error) {
		active, err = tx.Sessions.ListActive(ctx, principal.User.ID(), s.Clock.Now(), after, limit+1)
		return err
	})
	if err != nil {
		return Page{}, err
	}
	page := Page{Sessions: active[:min(limit, len(active))], More: len(active) > limit}
	for i, session := range page.Sessions {
		if session.ID() == principal.Session.ID() {
			page.Sessions[i] = principal.Session
		}
	}
	return page, nil
}
