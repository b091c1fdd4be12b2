// Package account is what people do with their account as a whole.
package account

import (
	"context"

	"github.com/keylodge/keylodge/application/access"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Change corrects what an account says about its owner.
type Change struct {
	Store ports.Store
	Clock ports.Clock
	Log   *access.SecurityLog
}

// Wish is what is to be changed: what is nil stays as it is, what is empty goes.
type Wish struct {
	Email       *domain.Email
	DisplayName *domain.DisplayName
}

// Changed is the account afterwards, with the passkeys that now carry another name.
type Changed struct {
	User     *domain.User
	Accepted domain.Keyring
	Names    []string // of what is different now: "display_name", "email"
}

// Execute fails with domain.ErrEmailTaken, or with domain.ErrStepUpRequired for another address in a recovered session.
func (c *Change) Execute(ctx context.Context, actor access.Actor, wish Wish) (changed Changed, err error) {
	now := c.Clock.Now()
	err = c.Store.Update(ctx, func(tx ports.Tx) error {
		actor, err := actor.Confirm(ctx, tx, now)
		if err != nil {
			return err
		}
		if wish.Email != nil && *wish.Email != actor.User.Email() {
			if err := actor.Session.ByPasskey(); err != nil { // the address is what one recovers by
				return err
			}
		}
		changed.User = actor.User
		if changed.Accepted, err = tx.Credentials.OfUser(ctx, actor.User.ID()); err != nil {
			return err
		}
		changed.Names = wish.apply(actor.User)
		if len(changed.Names) == 0 {
			return nil
		}
		if err := tx.Users.Save(ctx, actor.User); err != nil {
			return err
		}
		event, err := c.Log.Event(actor.Visitor, now, domain.EventSnapshot{
			Kind: domain.EventAccountChanged, UserID: actor.User.ID(), SessionID: actor.Session.ID(), Changed: changed.Names,
		})
		if err != nil {
			return err
		}
		return tx.Events.Add(ctx, event)
	})
	return changed, err
}

// apply returns the names of what it changed.
func (w Wish) apply(u *domain.User) (names []string) {
	if w.DisplayName != nil && u.Rename(*w.DisplayName) {
		names = append(names, "display_name")
	}
	if w.Email != nil && u.MoveTo(*w.Email) {
		names = append(names, "email")
	}
	return names
}
