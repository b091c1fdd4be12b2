package recovery

import (
	"context"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/ports"
)

// SetUpTOTP returns a new secret for an authenticator app, which is shown once and pending until ConfirmTOTP; the present app stays
// valid until then. It returns domain.ErrStepUpRequired.
func (s *Service) SetUpTOTP(ctx context.Context, actor identity.Principal) (ports.TOTPKey, error) {
	now := s.Clock.Now()
	if err := s.Policy.RequireEnabled(); err != nil {
		return ports.TOTPKey{}, err
	}
	if err := actor.RequireRecentAuth(s.StepUp, now); err != nil {
		return ports.TOTPKey{}, err
	}
	key, err := s.Codes.Generate(actor.User.Entity().Name)
	if err != nil {
		return ports.TOTPKey{}, err
	}
	sealed, err := s.Sealer.Seal([]byte(key.Secret.Reveal()), additionalData(actor.User.ID()))
	if err != nil {
		return ports.TOTPKey{}, err
	}
	err = s.Store.Update(ctx, func(tx ports.Tx) error {
		actor, err := actor.Reload(ctx, tx, now)
		if err != nil {
			return err
		}
		if err := actor.RequireRecentAuth(s.StepUp, now); err != nil {
			return err
		}
		app, err := tx.TOTPs.Get(ctx, actor.User.ID())
		if err != nil {
			return err
		}
		app.BeginSetup(sealed, now)
		return tx.TOTPs.Save(ctx, app)
	})
	if err != nil {
		return ports.TOTPKey{}, err
	}
	return key, nil
}
