package sessions

import (
	"context"

	"github.com/keylodge/keylodge/application/audit"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Revoke ends one of a person's sessions, say on a device that they have lost.
type Revoke struct {
	Store ports.Store
	Clock ports.Clock
	Audit *audit.Log
}

// Execute fails with domain.ErrSessionNotFound for a session that has ended, never was, or is another user's.
func (r *Revoke) Execute(ctx context.Context, actor identity.Principal, id domain.SessionID) error {
	now := r.Clock.Now()
	return r.Store.Update(ctx, func(tx ports.Tx) error {
		actor, err := actor.Reload(ctx, tx, now)
		if err != nil {
			return err
		}
		session, err := tx.Sessions.ByID(ctx, id)
		if err != nil {
			return err
		}
		if session.UserID() != actor.User.ID() || !session.Active(now) {
			return domain.ErrSessionNotFound
		}
		return RevokeSession(ctx, tx, r.Audit, session, actor.Client, domain.EventState{Kind: domain.EventSessionRevoked}, now)
	})
}
