package admin

import (
	"context"

	"github.com/keylodge/keylodge/application/audit"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/notify"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// DeleteUser takes an account away, say because its owner asked in writing.
type DeleteUser struct {
	Store    ports.Store
	Clock    ports.Clock
	Audit    *audit.Log
	Notifier notify.Notifier
	// Lockout finds what was counted against the account, which the store cannot tell is theirs.
	Lockout domain.LockoutKey
}

// Execute removes everything of the person, as account.Delete does. It fails with domain.ErrUserNotFound.
func (d *DeleteUser) Execute(ctx context.Context, who UserRef) error {
	now := d.Clock.Now()
	return d.Store.Update(ctx, func(tx ports.Tx) error {
		user, err := who.find(ctx, tx)
		if err != nil {
			return err
		}
		e := domain.EventState{Kind: domain.EventAccountDeleted, UserID: user.ID(), Actor: domain.ActorOperator}
		if err := d.Audit.Record(ctx, tx, identity.Client{}, now, e); err != nil {
			return err
		}
		if err := tx.Lockouts.Clear(ctx, d.Lockout.Account(user.ID())); err != nil {
			return err
		}
		if err := tx.Users.Remove(ctx, user.ID()); err != nil {
			return err
		}
		return d.Notifier.Queue(ctx, tx, user, domain.UserID{}, domain.EmailKindAccountDeleted, identity.Client{}, e, now)
	})
}
