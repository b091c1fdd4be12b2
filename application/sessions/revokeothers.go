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
	Audit *access.AuditLog
}

// Execute returns how many sessions it ended.
func (r *RevokeOthers) Execute(ctx context.Context, actor access.Principal) (ended int, err error) {
	now := r.Clock.Now()
	err = r.Store.Update(ctx, func(tx ports.Tx) error {
		actor, err := actor.Reload(ctx, tx, now)
		if err != nil {
			return err
		}
		own := func(s *domain.Session) bool { return s.ID() == actor.Session.ID() }
		ended, err = r.Audit.RevokeSessions(ctx, tx, actor.User.ID(), own, actor.Client, domain.EventState{Kind: domain.EventSessionRevoked}, now)
		return err
	})
	return ended, err
}
