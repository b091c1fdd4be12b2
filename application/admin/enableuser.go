package admin

import (
	"context"
	"time"

	"github.com/keylodge/keylodge/application/audit"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// EnableUser opens an account again that was shut.
type EnableUser struct {
	Store ports.Store
	Clock ports.Clock
	Audit *audit.Log
}

// Execute fails with domain.ErrUserNotFound. An account that is open stays so.
func (e *EnableUser) Execute(ctx context.Context, who UserRef) error {
	now := e.Clock.Now()
	return e.Store.Update(ctx, func(tx ports.Tx) error {
		user, err := who.find(ctx, tx)
		if err != nil || !user.Enable() {
			return err
		}
		return recordChange(ctx, tx, e.Audit, user, domain.EventAccountEnabled, now)
	})
}

func recordChange(ctx context.Context, tx ports.Tx, log *audit.Log, user *domain.User, kind domain.EventKind, now time.Time) error {
	if err := tx.Users.Save(ctx, user); err != nil {
		return err
	}
	return log.Record(ctx, tx, identity.Client{}, now, domain.EventState{Kind: kind, UserID: user.ID(), Actor: domain.ActorOperator})
}
