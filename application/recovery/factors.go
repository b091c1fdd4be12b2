// Package recovery lets people back in who have lost their passkeys: a code buys the enrolment of one new passkey, and
// nothing else.
package recovery

import (
	"context"
	"time"

	"github.com/keylodge/keylodge/application/access"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Factors are what a person has to recover with.
type Factors struct {
	TOTP        *domain.TOTP
	CodesLeft   int
	CodesMadeAt time.Time // zero without a set
}

// Show tells a person what they have.
type Show struct {
	Policy domain.RecoveryPolicy
	Store  ports.Store
}

// Execute fails with domain.ErrRecoveryOff.
func (s *Show) Execute(ctx context.Context, actor access.Actor) (have Factors, err error) {
	if err := s.Policy.On(); err != nil {
		return Factors{}, err
	}
	err = s.Store.View(ctx, func(tx ports.Tx) error {
		if have.TOTP, err = tx.TOTPs.Of(ctx, actor.User.ID()); err != nil {
			return err
		}
		have.CodesLeft, have.CodesMadeAt, err = tx.BackupCodes.Stock(ctx, actor.User.ID())
		return err
	})
	return have, err
}

// sealingLabel binds a sealed secret to its owner.
func sealingLabel(owner domain.UserID) string { return "totp " + owner.String() }

// Readable reports whether the sealer opens the secret of an app that counts; without one there is nothing to open.
func Readable(app *domain.TOTP, sealer ports.Sealer) bool {
	if !app.Confirmed() {
		return true
	}
	_, err := sealer.Open(app.Secret(), sealingLabel(app.UserID()))
	return err == nil
}
