package recovery

import (
	"bytes"
	"context"
	"fmt"

	"github.com/keylodge/keylodge/application/audit"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// ConfirmTOTP lets an authenticator app count once it has shown a code.
type ConfirmTOTP struct {
	Policy domain.RecoveryPolicy
	Store  ports.Store
	Codes  ports.TOTPCodes
	Sealer ports.Sealer
	Clock  ports.Clock
	Audit  *audit.Log
}

// Execute fails with domain.ErrStepUpRequired in a recovered session, or with domain.ErrInvalidCode, also if nothing is being set up (any more). Wrong codes do not count against
// anybody: whoever sets an app up has its secret.
func (c *ConfirmTOTP) Execute(ctx context.Context, actor identity.Principal, code string) error {
	if err := c.Policy.RequireEnabled(); err != nil {
		return err
	}
	if err := actor.RequirePasskey(); err != nil {
		return err
	}
	typed, err := domain.ParseTOTPCode(code)
	if err != nil {
		return err
	}
	now := c.Clock.Now()
	var pending []byte
	err = c.Store.View(ctx, func(tx ports.Tx) error {
		app, err := tx.TOTPs.Get(ctx, actor.User.ID())
		if err != nil {
			return err
		}
		pending, err = app.PendingSecret(now)
		return err
	})
	if err != nil {
		return err
	}
	secret, err := c.Sealer.Open(pending, additionalData(actor.User.ID()))
	if err != nil { // begun under a secret that was taken away since: to be set up anew
		return fmt.Errorf("%w: %w", domain.ErrInvalidCode, err)
	}
	step, err := c.Codes.FindStep(domain.NewSecret(string(secret)), typed, now)
	if err != nil {
		return err
	}
	return c.Store.Update(ctx, func(tx ports.Tx) error {
		actor, err := actor.Reload(ctx, tx, now)
		if err != nil {
			return err
		}
		if err := actor.RequirePasskey(); err != nil {
			return err
		}
		app, err := tx.TOTPs.Get(ctx, actor.User.ID())
		if err != nil {
			return err
		}
		if waiting, err := app.PendingSecret(now); err != nil || !bytes.Equal(waiting, pending) {
			return domain.ErrInvalidCode // set up anew, or confirmed, meanwhile
		}
		app.Confirm(step, now)
		if err := tx.TOTPs.Save(ctx, app); err != nil {
			return err
		}
		// What the former app bought goes with it: its owner may be replacing it because of that.
		if err := tx.RecoveryGrants.Remove(ctx, actor.User.ID()); err != nil {
			return err
		}
		return c.Audit.Record(ctx, tx, actor.Client, now, domain.EventState{Kind: domain.EventTOTPAdded, UserID: actor.User.ID(), SessionID: actor.Session.ID()})
	})
}
