package account

import (
	"context"

	"github.com/keylodge/keylodge/application/audit"
	"github.com/keylodge/keylodge/application/emailverify"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/notify"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// ConfirmEmail makes an address a person's own once they show the code that was sent to it.
type ConfirmEmail struct {
	Store             ports.Store
	Clock             ports.Clock
	Audit             *audit.Log
	Notifier          notify.Notifier
	EmailVerification *emailverify.Service
}

// Execute fails with domain.ErrEmailOff, domain.ErrInvalidCode, domain.ErrStepUpRequired in a recovered session, or, for
// whoever has shown that they read the address's mail, domain.ErrEmailTaken if another account was quicker.
func (c *ConfirmEmail) Execute(ctx context.Context, actor identity.Principal, code string) (changed Changed, err error) {
	if err := c.EmailVerification.Policy.RequireEnabled(); err != nil {
		return Changed{}, err
	}
	parsed, err := domain.ParseEmailCode(code)
	if err != nil {
		return Changed{}, err
	}
	now := c.Clock.Now()
	digests := c.EmailVerification.Keys.Digests(actor.User.ID(), parsed)
	err = c.Store.Update(ctx, func(tx ports.Tx) error {
		changed = Changed{}
		actor, err := actor.Reload(ctx, tx, now)
		if err != nil {
			return err
		}
		if err := actor.RequirePasskey(); err != nil {
			return err
		}
		before := domain.RestoreUser(actor.User.State())
		rejection := actor.User.VerifyEmail(digests, now)
		if err := tx.Users.Save(ctx, actor.User); err != nil {
			return err
		}
		if rejection != nil {
			return ports.CommitWith(rejection) // the user counts wrong codes
		}
		if err := c.EmailVerification.ClearSendLimit(ctx, tx, actor.User.Email()); err != nil {
			return err
		}
		changed = Changed{User: actor.User, Fields: []string{"email"}}
		if changed.AcceptedCredentials, err = tx.Credentials.ListByUser(ctx, actor.User.ID()); err != nil {
			return err
		}
		return recordChange(ctx, tx, c.Audit, c.Notifier, actor, before, changed.Fields, now)
	})
	return changed, err
}
