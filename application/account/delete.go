package account

import (
	"context"

	"github.com/keylodge/keylodge/application/audit"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/notify"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Delete takes an account away at its owner's wish.
type Delete struct {
	Store    ports.Store
	Clock    ports.Clock
	Audit    *audit.Log
	Notifier notify.Notifier
	StepUp   domain.StepUpTTL
	// Lockout finds what was counted against the account, which the store cannot tell is theirs.
	Lockout domain.LockoutKey
}

// Execute removes everything of the person. That there was somebody, and when they left, stays in the events, without a
// name. It fails with domain.ErrStepUpRequired.
func (d *Delete) Execute(ctx context.Context, actor identity.Principal) error {
	now := d.Clock.Now()
	return d.Store.Update(ctx, func(tx ports.Tx) error {
		actor, err := actor.Reload(ctx, tx, now)
		if err != nil {
			return err
		}
		if err := actor.RequireRecentAuth(d.StepUp, now); err != nil {
			return err
		}
		// Removing the user takes their name off it, as off all others.
		e := domain.EventState{Kind: domain.EventAccountDeleted, UserID: actor.User.ID()}
		if err := d.Audit.Record(ctx, tx, actor.Client, now, e); err != nil {
			return err
		}
		if err := tx.Lockouts.Clear(ctx, d.Lockout.Account(actor.User.ID())); err != nil {
			return err
		}
		if err := tx.Users.Remove(ctx, actor.User.ID()); err != nil {
			return err
		}
		return d.Notifier.Queue(ctx, tx, actor.User, domain.UserID{}, domain.EmailKindAccountDeleted, actor.Client, e, now)
	})
}
