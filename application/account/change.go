// Package account is what people do with their account as a whole.
package account

import (
	"context"
	"time"

	"github.com/keylodge/keylodge/application/access"
	"github.com/keylodge/keylodge/application/mail"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Change corrects what an account says about its owner.
type Change struct {
	Store  ports.Store
	Clock  ports.Clock
	Log    *access.SecurityLog
	Claims *mail.Claims
	StepUp domain.StepUpTTL
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
	Names    []string // of what is different now: "display_name", "email", "pending_email"
}

// Execute gives the account another name or address; where mail is sent, an address is claimed and waits for its code. It
// fails with domain.ErrEmailTaken, which is never told where mail is sent, with a *domain.Wait if too many codes were sent
// to the address, or with domain.ErrStepUpRequired for another address without a fresh proof.
func (c *Change) Execute(ctx context.Context, actor access.Actor, wish Wish) (changed Changed, err error) {
	now := c.Clock.Now()
	var draft mail.Draft
	if c.Claims.Policy.On() == nil && wish.Email != nil && *wish.Email != "" {
		if draft, err = c.Claims.Draw(actor.User.ID(), now); err != nil {
			return Changed{}, err
		}
	}
	err = c.Store.Update(ctx, func(tx ports.Tx) error {
		actor, err := actor.Confirm(ctx, tx, now)
		if err != nil {
			return err
		}
		if wish.Email != nil && *wish.Email != actor.User.Email() {
			// The address is what one recovers by, and where one is told of everything else (OWASP ASVS 5.0, 7.5.1).
			if err := actor.RequireRecentAuth(c.StepUp, now); err != nil {
				return err
			}
		}
		before := domain.RestoreUser(actor.User.Snapshot())
		changed = Changed{User: actor.User}
		if changed.Accepted, err = tx.Credentials.OfUser(ctx, actor.User.ID()); err != nil {
			return err
		}
		if wish.DisplayName != nil && actor.User.Rename(*wish.DisplayName) {
			changed.Names = append(changed.Names, "display_name")
		}
		message, names, err := c.move(ctx, tx, actor.User, wish.Email, draft, now)
		if err != nil {
			return err
		}
		if changed.Names = append(changed.Names, names...); len(changed.Names) == 0 {
			return nil
		}
		if err := tx.Users.Save(ctx, actor.User); err != nil {
			return err
		}
		if message != nil {
			if err := tx.Messages.Add(ctx, message); err != nil {
				return err
			}
		}
		return keepChange(ctx, tx, c.Log, actor, before, changed.Names, now)
	})
	return changed, err
}

// move returns the names of what is different now, and the letter that is due for it.
func (c *Change) move(ctx context.Context, tx ports.Tx, user *domain.User, to *domain.Email, draft mail.Draft, now time.Time) (*domain.Message, []string, error) {
	var names []string
	sendsMail := c.Claims.Policy == domain.MailOn
	switch {
	case to == nil, sendsMail && *to != "" && *to == user.PendingEmail():
		return nil, nil, nil
	case sendsMail && *to != "" && *to != user.Email():
		message, err := c.Claims.Enter(ctx, tx, user, *to, draft, now)
		return message, []string{"pending_email"}, err
	}
	if user.MoveTo(*to) {
		names = append(names, "email")
	}
	if user.Withdraw() {
		names = append(names, "pending_email")
	}
	return nil, names, nil
}

// keepChange enters in the log what is different now, and has the former address told if it is not the account's any more.
func keepChange(ctx context.Context, tx ports.Tx, log *access.SecurityLog, actor access.Actor, before *domain.User, names []string, now time.Time) error {
	e := domain.EventSnapshot{Kind: domain.EventAccountChanged, UserID: actor.User.ID(), SessionID: actor.Session.ID(), Changed: names}
	if err := log.Enter(ctx, tx, actor.Visitor, now, e); err != nil {
		return err
	}
	if before.Email() == actor.User.Email() {
		return nil
	}
	kind := domain.MessageEmailChanged
	if actor.User.Email() == "" {
		kind = domain.MessageEmailRemoved
	}
	return log.Notify(ctx, tx, before, actor.User.ID(), kind, actor.Visitor, e, now)
}
