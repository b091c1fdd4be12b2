package admin

import (
	"context"

	"github.com/keylodge/keylodge/application/access"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// DeleteUser takes an account away, say because its owner asked in writing.
type DeleteUser struct {
	Store ports.Store
	Clock ports.Clock
	Log   *access.SecurityLog
	// Lockout finds what was counted against the account, which the store cannot tell is theirs.
	Lockout domain.LockoutKey
}

// Execute removes everything of the person, as account.Delete does. It fails with domain.ErrUserNotFound.
func (d *DeleteUser) Execute(ctx context.Context, who Who) error {
	now := d.Clock.Now()
	return d.Store.Update(ctx, func(tx ports.Tx) error {
		user, err := who.find(ctx, tx)
		if err != nil {
			return err
		}
		e := domain.EventSnapshot{Kind: domain.EventAccountDeleted, UserID: user.ID(), By: domain.ByOperator}
		if err := d.Log.Enter(ctx, tx, access.Visitor{}, now, e); err != nil {
			return err
		}
		if err := tx.Lockouts.Clear(ctx, d.Lockout.Account(user.ID())); err != nil {
			return err
		}
		if err := tx.Users.Remove(ctx, user.ID()); err != nil {
			return err
		}
		return d.Log.Notify(ctx, tx, user, domain.UserID{}, domain.MessageAccountDeleted, access.Visitor{}, e, now)
	})
}
