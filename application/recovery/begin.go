package recovery

import (
	"context"
	"errors"

	"github.com/keylodge/keylodge/application/ceremony"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Begin returns the options for the passkey that a recovery grant authorises. It does not consume the grant: a user who dismisses the
// prompt can begin again. It returns domain.ErrRecoveryGrantInvalid, also for a disabled account: the caller has not
// authenticated yet.
func (s *Service) Begin(ctx context.Context, token domain.RecoveryGrantToken, browser domain.Binding) (ceremony.Begun, error) {
	now := s.Clock.Now()
	var user *domain.User
	var existing domain.Passkeys
	err := s.Store.View(ctx, func(tx ports.Tx) error {
		grant, err := tx.RecoveryGrants.ByToken(ctx, token.Digest())
		if err != nil {
			return err
		}
		if err := errors.Join(grant.RequireUnexpired(now), grant.RequireFactors(s.Policy)); err != nil {
			return err
		}
		if user, err = tx.Users.ByID(ctx, grant.UserID()); err != nil {
			return err
		}
		if user.Disabled() {
			return domain.ErrRecoveryGrantInvalid
		}
		existing, err = tx.Credentials.ListByUser(ctx, user.ID())
		return err
	})
	if err != nil {
		return ceremony.Begun{}, err
	}
	registration, err := s.RelyingParty.BeginRegistration(user.Entity(), existing.Descriptors())
	if err != nil {
		return ceremony.Begun{}, err
	}
	return s.Challenges.Begin(ctx, domain.PurposeRecovery, domain.ChallengeContext{Browser: browser, RecoveryGrant: token.Digest()}, registration, nil)
}
