package admin

import (
	"context"

	"github.com/keylodge/keylodge/application/access"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// DisableUser shuts an account: nobody gets in any more, and whoever is in is out.
type DisableUser struct {
	Store ports.Store
	Clock ports.Clock
	Log   *access.SecurityLog
}

// Execute returns how many sessions it ended. An account that is shut stays so. It fails with domain.ErrUserNotFound.
func (d *DisableUser) Execute(ctx context.Context, who Who) (ended int, err error) {
	now := d.Clock.Now()
	err = d.Store.Update(ctx, func(tx ports.Tx) error {
		user, err := who.find(ctx, tx)
		if err != nil {
			return err
		}
		if user.Disable(now) {
			if err := keepChange(ctx, tx, d.Log, user, domain.EventAccountDisabled, now); err != nil {
				return err
			}
		}
		if err := tx.Grants.Remove(ctx, user.ID()); err != nil {
			return err
		}
		e := domain.EventSnapshot{Kind: domain.EventSessionRevoked, By: domain.ByOperator, Reason: string(domain.EventAccountDisabled)}
		ended, err = d.Log.EndAll(ctx, tx, user.ID(), func(*domain.Session) bool { return false }, access.Visitor{}, e, now)
		return err
	})
	return ended, err
}
