package sessions

import (
	"context"

	"github.com/keylodge/keylodge/application/audit"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// RevokeOthers ends all of a person's sessions but the one that they ask in.
type RevokeOthers struct {
	Store ports.Store
	Clock ports.Clock
	Audit *audit.Log
}

// Execute returns how many sessions it ended.
func (r *RevokeOthers) Execute(ctx context.Context, actor identity.Principal) (ended int, err error) {
	now := r.Clock.Now()
	err = r.Store.Update(ctx, func(tx ports.Tx) error {
		actor, err := actor.Reload(ctx, tx, now)
		if err != nil {
			return err
		}
		own := func(s *domain.Session) bool { return s.ID() == actor.Session.ID() }
		ended, err = RevokeSessions(ctx, tx, r.Audit, actor.User.ID(), own, actor.Client, domain.EventState{Kind: domain.EventSessionRevoked}, now)
		return err
	})
	return ended, err
}
