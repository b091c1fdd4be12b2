package admin

import (
	"context"

	"github.com/keylodge/keylodge/application/audit"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/sessions"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// RevokeSession ends anybody's session.
type RevokeSession struct {
	Store ports.Store
	Clock ports.Clock
	Audit *audit.Log
}

// Execute fails with domain.ErrSessionNotFound for one that has ended or never was.
func (r *RevokeSession) Execute(ctx context.Context, id domain.SessionID) error {
	now := r.Clock.Now()
	return r.Store.Update(ctx, func(tx ports.Tx) error {
		session, err := tx.Sessions.ByID(ctx, id)
		if err != nil {
			return err
		}
		if !session.Active(now) {
			return domain.ErrSessionNotFound
		}
		e := domain.EventState{Kind: domain.EventSessionRevoked, Actor: domain.ActorOperator}
		return sessions.RevokeSession(ctx, tx, r.Audit, session, identity.Client{}, e, now)
	})
}

// RevokeSessions ends all sessions of a user.
type RevokeSessions struct {
	Store ports.Store
	Clock ports.Clock
	Audit *audit.Log
}

// Execute returns how many sessions it ended. It fails with domain.ErrUserNotFound.
func (r *RevokeSessions) Execute(ctx context.Context, who UserRef) (ended int, err error) {
	now := r.Clock.Now()
	err = r.Store.Update(ctx, func(tx ports.Tx) error {
		user, err := who.find(ctx, tx)
		if err != nil {
			return err
		}
		e := domain.EventState{Kind: domain.EventSessionRevoked, Actor: domain.ActorOperator}
		ended, err = sessions.RevokeSessions(ctx, tx, r.Audit, user.ID(), nil, identity.Client{}, e, now)
		return err
	})
	return ended, err
}
