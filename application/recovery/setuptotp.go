package recovery

import (
	"context"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// SetUpTOTP gives a person a secret for their authenticator app.
type SetUpTOTP struct {
	Policy domain.RecoveryPolicy
	Store  ports.Store
	Codes  ports.TOTPCodes
	Sealer ports.Sealer
	Clock  ports.Clock
	StepUp domain.StepUpTTL
}

// Execute returns the secret, which is shown once and counts for nothing until ConfirmTOTP. The app that counts at present
// goes on counting until then. It fails with domain.ErrRecoveryOff or domain.ErrStepUpRequired.
func (s *SetUpTOTP) Execute(ctx context.Context, actor identity.Principal) (ports.TOTPKey, error) {
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
