package recovery

import (
	"context"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/ports"
)

// SetUpTOTP returns a new secret for an authenticator app. The secret is shown once and is pending until ConfirmTOTP; the
// current app remains valid until then. It returns domain.ErrStepUpRequired.
func (s *Service) SetUpTOTP(ctx context.Context, principal identity.Principal) (ports.TOTPKey, error) {
	now := s.Clock.Now()
	if err := s.Policy.RequireEnabled(); err != nil {
		return ports.TOTPKey{}, err
	}
	if err := principal.RequireRecentAuth(s.StepUp, now); err != nil {
		return ports.TOTPKey{}, err
	}
	key, err := s.Codes.Generate(principal.User.Entity().Name)
	if err != nil {
		return ports.TOTPKey{}, err
	}
	encrypted, err := s.Sealer.Seal([]byte(key.Secret.Reveal()), additionalData(principal.User.ID()))
	if err != nil {
		return ports.TOTPKey{}, err
	}
	err = s.Store.Update(ctx, func(tx ports.Tx) error {
		principal, err := principal.Reload(ctx, tx, now)
		if err != nil {
			return err
		}
		if err := principal.RequireRecentAuth(s.StepUp, now); err != nil {
			return err
		}
		app, err := tx.TOTPs.Get(ctx, principal.User.ID())
		if err != nil {
			return err
		}
		app.BeginSetup(encrypted, now)
		return tx.TOTPs.Save(ctx, app)
	})
	if err != nil {
		return ports.TOTPKey{}, err
	}
	return key, nil
}
