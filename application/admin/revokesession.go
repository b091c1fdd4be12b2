package admin

import (
	"context"

	"github.com/keylodge/keylodge/application/access"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// RevokeSession ends anybody's session.
type RevokeSession struct {
	Store ports.Store
	Clock ports.Clock
	Log   *access.SecurityLog
}

// Execute fails with domain.ErrSessionNotFound for one that has ended or never was.
func (r *RevokeSession) Execute(ctx context.Context, id domain.SessionID) error {
	now := r.Clock.Now()
	return r.Store.Update(ctx, func(tx ports.Tx) error {
		session, err := tx.Sessions.ByID(ctx, id)
		if err != nil {
			return err
		}
		if session.Usable(now) != nil {
			return domain.ErrSessionNotFound
		}
		e := domain.EventSnapshot{Kind: domain.EventSessionRevoked, By: domain.ByOperator}
		return r.Log.End(ctx, tx, session, access.Visitor{}, e, now)
	})
}

// RevokeSessions ends all sessions of a user.
type RevokeSessions struct {
	Store ports.Store
	Clock ports.Clock
	Log   *access.SecurityLog
}

// Execute returns how many sessions it ended. It fails with domain.ErrUserNotFound.
func (r *RevokeSessions) Execute(ctx context.Context, who Who) (ended int, err error) {
	now := r.Clock.Now()
	err = r.Store.Update(ctx, func(tx ports.Tx) error {
		user, err := who.find(ctx, tx)
		if err != nil {
			return err
		}
		e := domain.EventSnapshot{Kind: domain.EventSessionRevoked, By: domain.ByOperator}
		ended, err = r.Log.EndAll(ctx, tx, user.ID(), func(*domain.Session) bool { return false }, access.Visitor{}, e, now)
		return err
	})
	return ended, err
}
