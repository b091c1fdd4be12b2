package admin

import (
	"context"
	"time"

	"github.com/keylodge/keylodge/application/access"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// EnableUser opens an account again that was shut.
type EnableUser struct {
	Store ports.Store
	Clock ports.Clock
	Log   *access.SecurityLog
}

// Execute fails with domain.ErrUserNotFound. An account that is open stays so.
func (e *EnableUser) Execute(ctx context.Context, who Who) error {
	now := e.Clock.Now()
	return e.Store.Update(ctx, func(tx ports.Tx) error {
		user, err := who.find(ctx, tx)
		if err != nil || !user.Enable() {
			return err
		}
		return keepChange(ctx, tx, e.Log, user, domain.EventAccountEnabled, now)
	})
}

func keepChange(ctx context.Context, tx ports.Tx, log *access.SecurityLog, user *domain.User, kind domain.EventKind, now time.Time) error {
	if err := tx.Users.Save(ctx, user); err != nil {
		return err
	}
	return log.Enter(ctx, tx, access.Visitor{}, now, domain.EventSnapshot{Kind: kind, UserID: user.ID(), By: domain.ByOperator})
}
