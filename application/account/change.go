// Package account is what people do with their account as a whole.
package account

import (
	"context"
	"time"

	"github.com/keylodge/keylodge/application/audit"
	"github.com/keylodge/keylodge/application/emailverify"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/notify"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Change corrects what an account says about its owner.
type Change struct {
	Store             ports.Store
	Clock             ports.Clock
	Audit             *audit.Log
	Notifier          notify.Notifier
	EmailVerification *emailverify.Service
	StepUp            domain.StepUpTTL
}

// Patch is what is to be changed: what is nil stays as it is, what is empty goes.
type Patch struct {
	Email       *domain.Email
	DisplayName *domain.DisplayName
}

// Changed is the account afterwards, with the passkeys that now carry another name.
type Changed struct {
	User                *domain.User
	AcceptedCredentials domain.Passkeys
	Fields              []string // of what is different now: "display_name", "email", "pending_email"
}

// Execute gives the account another name or address; where mail is sent, an address is claimed and waits for its code. It
// fails with domain.ErrEmailTaken, which is never told where mail is sent, with a *domain.RetryAfterError if too many codes were sent
// to the address, or with domain.ErrStepUpRequired for another address without a fresh proof.
func (c *Change) Execute(ctx context.Context, actor identity.Principal, wish Patch) (changed Changed, err error) {
	now := c.Clock.Now()
	var draft emailverify.PendingCode
	if c.EmailVerification.Policy.Enabled() && wish.Email != nil && *wish.Email != "" {
		if draft, err = c.EmailVerification.GenerateCode(actor.User.ID(), now); err != nil {
			return Changed{}, err
		}
	}
	err = c.Store.Update(ctx, func(tx ports.Tx) error {
		actor, err := actor.Reload(ctx, tx, now)
		if err != nil {
			return err
		}
		if wish.Email != nil && *wish.Email != actor.User.Email() {
			// The address is what one recovers by, and where one is told of everything else (OWASP ASVS 5.0, 7.5.1).
			if err := actor.RequireRecentAuth(c.StepUp, now); err != nil {
				return err
			}
		}
		before := domain.RestoreUser(actor.User.State())
		changed = Changed{User: actor.User}
		if changed.AcceptedCredentials, err = tx.Credentials.ListByUser(ctx, actor.User.ID()); err != nil {
			return err
		}
		if wish.DisplayName != nil && actor.User.Rename(*wish.DisplayName) {
			changed.Fields = append(changed.Fields, "display_name")
		}
		message, names, err := c.changeEmail(ctx, tx, actor.User, wish.Email, draft, now)
		if err != nil {
			return err
		}
		if changed.Fields = append(changed.Fields, names...); len(changed.Fields) == 0 {
			return nil
		}
		if err := tx.Users.Save(ctx, actor.User); err != nil {
			return err
		}
		if message != nil {
			if err := tx.OutboxEmails.Add(ctx, message); err != nil {
				return err
			}
		}
		return recordChange(ctx, tx, c.Audit, c.Notifier, actor, before, changed.Fields, now)
	})
	return changed, err
}

// changeEmail returns the names of what is different now, and the letter that is due for it.
func (c *Change) changeEmail(ctx context.Context, tx ports.Tx, user *domain.User, to *domain.Email, draft emailverify.PendingCode, now time.Time) (*domain.OutboxEmail, []string, error) {
	var names []string
	sendsMail := c.EmailVerification.Policy.Enabled()
	switch {
	case to == nil, sendsMail && *to != "" && *to == user.PendingEmail():
		return nil, nil, nil
	case sendsMail && *to != "" && *to != user.Email():
		message, err := c.EmailVerification.Request(ctx, tx, user, *to, draft, now)
		return message, []string{"pending_email"}, err
	}
	if user.SetEmail(*to) {
		names = append(names, "email")
	}
	if user.CancelEmailRequest() {
		names = append(names, "pending_email")
	}
	return nil, names, nil
}

// recordChange enters in the log what is different now, and has the former address told if it is not the account's any more.
func recordChange(ctx context.Context, tx ports.Tx, log *audit.Log, notifier notify.Notifier, actor identity.Principal, before *domain.User, names []string, now time.Time) error {
	e := domain.EventState{Kind: domain.EventAccountChanged, UserID: actor.User.ID(), SessionID: actor.Session.ID(), Changed: names}
	if err := log.Record(ctx, tx, actor.Client, now, e); err != nil {
		return err
	}
	if before.Email() == actor.User.Email() {
		return nil
	}
	kind := domain.EmailKindAddressChanged
	if actor.User.Email() == "" {
		kind = domain.EmailKindAddressRemoved
	}
	return notifier.Queue(ctx, tx, before, actor.User.ID(), kind, actor.Client, e, now)
}
