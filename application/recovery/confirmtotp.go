package recovery

import (
	"bytes"
	"context"
	"fmt"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// ConfirmTOTP makes the pending authenticator app a recovery factor, in place of the former app. It returns domain.ErrStepUpRequired in
// a recovered session, or domain.ErrInvalidCode, also if no setup is pending. Wrong codes are not counted: the user has the secret.
func (s *Service) ConfirmTOTP(ctx context.Context, actor identity.Principal, code string) error {
	if err := s.Policy.RequireEnabled(); err != nil {
		return err
	}
	if err := actor.RequirePasskey(); err != nil {
		return err
	}
	typed, err := domain.ParseTOTPCode(code)
	if err != nil {
		return err
	}
	now := s.Clock.Now()
	var pending []byte
	err = s.Store.View(ctx, func(tx ports.Tx) error {
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
	secret, err := s.Sealer.Open(pending, additionalData(actor.User.ID()))
	if err != nil { // encrypted under a secret that was removed since
		return fmt.Errorf("%w: %w", domain.ErrInvalidCode, err)
	}
	step, err := s.Codes.FindStep(domain.NewSecret(string(secret)), typed, now)
	if err != nil {
		return err
	}
	return s.Store.Update(ctx, func(tx ports.Tx) error {
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
		if current, err := app.PendingSecret(now); err != nil || !bytes.Equal(current, pending) {
			return domain.ErrInvalidCode // replaced or confirmed in the meantime
		}
		app.Confirm(step, now)
		if err := tx.TOTPs.Save(ctx, app); err != nil {
			return err
		}
		// A grant obtained with the former app is revoked: the app may be replaced because it was compromised.
		if err := tx.RecoveryGrants.Remove(ctx, actor.User.ID()); err != nil {
			return err
		}
		return s.Audit.Record(ctx, tx, actor.Client, now, domain.EventState{Kind: domain.EventTOTPAdded, UserID: actor.User.ID(), SessionID: actor.Session.ID()})
	})
}
