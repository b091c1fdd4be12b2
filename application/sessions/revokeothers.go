package sessions

import (
	"context"

	"github.com/keylodge/keylodge/application/access"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// RevokeOthers ends all of a person's sessions but the one that they ask in.
type RevokeOthers struct {
	Store ports.Store
	Clock ports.Clock
	Log   *access.SecurityLog
}

// Execute returns how many sessions it ended.
func (r *RevokeOthers) Execute(ctx context.Context, actor access.Actor) (ended int, err error) {
	now := r.Clock.Now()
	err = r.Store.Update(ctx, func(tx ports.Tx) error {
		actor, err := actor.Confirm(ctx, tx, now)
		if err != nil {
			return err
		}
		own := func(s *domain.Session) bool { return s.ID() == actor.Session.ID() }
		ended, err = r.Log.EndAll(ctx, tx, actor.User.ID(), own, actor.Visitor, domain.EventSnapshot{Kind: domain.EventSessionRevoked}, now)
		return err
	})
	return ended, err
}
