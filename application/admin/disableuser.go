package admin

import (
	"context"

	"github.com/keylodge/keylodge/application/audit"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/sessions"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// DisableUser shuts an account: nobody gets in any more, and whoever is in is out.
type DisableUser struct {
	Store ports.Store
	Clock ports.Clock
	Audit *audit.Log
}

// Execute returns how many sessions it ended. An account that is shut stays so. It fails with domain.ErrUserNotFound.
func (d *DisableUser) Execute(ctx context.Context, who UserRef) (ended int, err error) {
	now := d.Clock.Now()
	err = d.Store.Update(ctx, func(tx ports.Tx) error {
		user, err := who.find(ctx, tx)
		if err != nil {
			return err
		}
		if user.Disable(now) {
			if err := recordChange(ctx, tx, d.Audit, user, domain.EventAccountDisabled, now); err != nil {
				return err
			}
		}
		if err := tx.RecoveryGrants.Remove(ctx, user.ID()); err != nil {
			return err
		}
		e := domain.EventState{Kind: domain.EventSessionRevoked, Actor: domain.ActorOperator, Reason: string(domain.EventAccountDisabled)}
		ended, err = sessions.RevokeSessions(ctx, tx, d.Audit, user.ID(), nil, identity.Client{}, e, now)
		return err
	})
	return ended, err
}
