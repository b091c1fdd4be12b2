// Package recovery lets people back in who have lost their passkeys: a code buys the enrolment of one new passkey, and
// nothing else.
package recovery

import (
	"context"
	"time"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Factors are what a person has to recover with.
type Factors struct {
	TOTP             *domain.TOTP
	CodesLeft        int
	CodesGeneratedAt time.Time // zero without a set
}

// Show tells a person what they have.
type Show struct {
	Policy domain.RecoveryPolicy
	Store  ports.Store
}

// Execute fails with domain.ErrRecoveryOff.
func (s *Show) Execute(ctx context.Context, actor identity.Principal) (have Factors, err error) {
	if err := s.Policy.RequireEnabled(); err != nil {
		return Factors{}, err
	}
	err = s.Store.View(ctx, func(tx ports.Tx) error {
		if have.TOTP, err = tx.TOTPs.Get(ctx, actor.User.ID()); err != nil {
			return err
		}
		have.CodesLeft, have.CodesGeneratedAt, err = tx.BackupCodes.Count(ctx, actor.User.ID())
		return err
	})
	return have, err
}

// additionalData binds a sealed secret to its owner.
func additionalData(owner domain.UserID) string { return "totp " + owner.String() }

// Decryptable reports whether the sealer opens the secret of an app that counts; without one there is nothing to open.
func Decryptable(app *domain.TOTP, sealer ports.Sealer) bool {
	if !app.Confirmed() {
		return true
	}
	_, err := sealer.Open(app.Secret(), additionalData(app.UserID()))
	return err == nil
}
