package recovery

import (
	"context"
	"time"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Factors are the recovery factors of an account.
type Factors struct {
	TOTP             *domain.TOTP
	CodesLeft        int
	CodesGeneratedAt time.Time // zero if no backup codes were generated
}

// Show returns the user's recovery factors.
func (s *Service) Show(ctx context.Context, principal identity.Principal) (factors Factors, err error) {
	if err := s.Policy.RequireEnabled(); err != nil {
		return Factors{}, err
	}
	err = s.Store.View(ctx, func(tx ports.Tx) error {
		factors, err = LoadFactors(ctx, tx, principal.User.ID())
		return err
	})
	return factors, err
}

// LoadFactors reads the recovery factors of a user.
func LoadFactors(ctx context.Context, tx ports.Tx, user domain.UserID) (factors Factors, err error) {
	if factors.TOTP, err = tx.TOTPs.Get(ctx, user); err != nil {
		return Factors{}, err
	}
	factors.CodesLeft, factors.CodesGeneratedAt, err = tx.BackupCodes.Count(ctx, user)
	return factors, err
}
