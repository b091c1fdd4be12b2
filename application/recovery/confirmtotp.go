package recovery

import (
	"bytes"
	"context"
	"fmt"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// ConfirmTOTP makes the pending authenticator app a recovery factor and replaces the previous app. It returns
// domain.ErrStepUpRequired in a recovered session, or domain.ErrInvalidCode, also if no setup is pending. Wrong codes are not
// counted: the user has the secret.
func (s *Service) ConfirmTOTP(ctx context.Context, principal identity.Principal, code string) error {
	if err := s.Policy.RequireEnabled(); err != nil {
		return err
	}
	if err := principal.RequirePasskey(); err != nil {
		return err
	}
	parsed, err := domain.ParseTOTPCode(code)
	if err != nil {
		return err
	}
	now := s.Clock.Now()
	var pending []byte
	err = s.Store.View(ctx, func(tx ports.Tx) error {
		app, err := tx.TOTPs.Get(ctx, principal.User.ID())
		if err != nil {
			return err
		}
		pending, err = app.PendingSecret(now)
		return err
	})
	if err != nil {
		return err
	}
	secret, err := s.Sealer.Open(pending, additionalData(principal.User.ID()))
	if err != nil { // encrypted with a secret that was removed since
		return fmt.Errorf("%w: %w", domain.ErrInvalidCode, err)
	}
	step, err := s.Codes.FindStep(domain.NewSecret(string(secret)), parsed, now)
	if err != nil {
		return err
	}
	return s.Store.Update(ctx, func(tx ports.Tx) error {
		principal, err := principal.Reload(ctx, tx, now)
		if err != nil {
			return err
		}
		if err := principal.RequirePasskey(); err != nil {
			return err
		}
		app, err := tx.TOTPs.Get(ctx, principal.User.ID())
		if err != nil {
			return err
		}
		if current, err := app.PendingSecret(now); err != nil || !bytes.Equal(current, pending) {
			return domain.ErrInvalidCode // replaced or confirmed meanwhile
		}
		app.Confirm(step, now)
		if err := tx.TOTPs.Save(ctx, app); err != nil {
			return err
		}
		// A grant obtained with the previous app is revoked: the app may have been compromised.
		if err := tx.RecoveryGrants.Remove(ctx, principal.User.ID()); err != nil {
			return err
		}
		return s.Audit.Record(ctx, tx, principal.Client, now, domain.EventState{Kind: domain.EventTOTPAdded, UserID: principal.User.ID(), SessionID: principal.Session.ID()})
	})
}
