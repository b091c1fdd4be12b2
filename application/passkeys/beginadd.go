package passkeys

import (
	"context"

	"github.com/keylodge/keylodge/application/ceremony"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
)

// BeginAdd returns the options for a passkey on an authenticator that has none of the principal's passkeys yet. It returns
// domain.ErrStepUpRequired or domain.ErrPasskeyLimitReached.
func (s *Service) BeginAdd(ctx context.Context, principal identity.Principal, browser domain.Binding) (ceremony.Begun, error) {
	if err := principal.RequireRecentAuth(s.StepUp, s.Clock.Now()); err != nil {
		return ceremony.Begun{}, err
	}
	present, err := s.List(ctx, principal)
	if err != nil {
		return ceremony.Begun{}, err
	}
	// FinishAdd checks the limit again. It is checked here so that no authenticator creates a passkey that is then rejected.
	if err := present.CheckLimit(s.Limit); err != nil {
		return ceremony.Begun{}, err
	}
	options, err := s.RelyingParty.BeginRegistration(principal.User.Entity(), present.Descriptors())
	if err != nil {
		return ceremony.Begun{}, err
	}
	return s.Challenges.Begin(ctx, domain.PurposeAddPasskey, principal.ChallengeContext(browser), options, nil)
}
