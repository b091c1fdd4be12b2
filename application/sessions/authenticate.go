// Package sessions is what holders of a session do with it.
package sessions

import (
	"context"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Authenticate tells who holds a session.
type Authenticate struct {
	Store    ports.Store
	Clock    ports.Clock
	Lifetime domain.SessionLifetime
}

// Current is the session of a request, and whose it is.
type Current struct {
	User    *domain.User
	Session *domain.Session
}

// Execute puts off the session's idle end. It fails with domain.ErrUnauthenticated, domain.ErrSessionExpired or
// domain.ErrSessionRevoked.
func (a *Authenticate) Execute(ctx context.Context, token domain.SessionToken) (Current, error) {
	now := a.Clock.Now()
	var current Current
	err := a.Store.View(ctx, func(tx ports.Tx) (err error) {
		if current.Session, err = tx.Sessions.ByToken(ctx, token.Digest()); err != nil {
			return err
		}
		if err := current.Session.Usable(now); err != nil {
			return err
		}
		current.User, err = tx.Users.ByID(ctx, current.Session.UserID())
		return err
	})
	if err != nil {
		return Current{}, err
	}
	if current.Session.SeenLately(now) {
		return current, nil
	}
	err = a.Store.Update(ctx, func(tx ports.Tx) (err error) {
		// Read again: it may have been revoked since, and a revocation must not be written over.
		if current.Session, err = tx.Sessions.ByToken(ctx, token.Digest()); err != nil {
			return err
		}
		if err := current.Session.Usable(now); err != nil {
			return err
		}
		current.Session.Touch(a.Lifetime, now)
		return tx.Sessions.Save(ctx, current.Session)
	})
	if err != nil {
		return Current{}, err
	}
	return current, nil
}
