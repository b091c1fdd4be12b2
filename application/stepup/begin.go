package stepup

import (
	"context"

	"github.com/keylodge/keylodge/application/ceremony"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Begin returns the options for one of the principal's own passkeys.
func (s *Service) Begin(ctx context.Context, principal identity.Principal, browser domain.Binding) (ceremony.Begun, error) {
	var passkeys domain.Passkeys
	err := s.Store.View(ctx, func(tx ports.Tx) (err error) {
		passkeys, err = tx.Credentials.ListByUser(ctx, principal.User.ID())
		return err
	})
	if err != nil {
		return ceremony.Begun{}, err
	}
	options, err := s.RelyingParty.BeginAuthentication(passkeys.Descriptors())
	if err != nil {
		return ceremony.Begun{}, err
	}
	return s.Challenges.Begin(ctx, domain.PurposeStepUp, principal.ChallengeContext(browser), options, nil)
}
