package recovery

import (
	"context"
	"errors"

	"github.com/keylodge/keylodge/application/ceremony"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Begin starts the enrolment that a grant buys.
type Begin struct {
	Policy       domain.RecoveryPolicy
	Store        ports.Store
	RelyingParty ports.RelyingParty
	Clock        ports.Clock
	Challenges   *ceremony.Challenges
}

// Execute returns the options for the new passkey. The grant is looked at and not spent: whoever dismisses the prompt may
// begin again. It fails with domain.ErrRecoveryGrantInvalid.
func (b *Begin) Execute(ctx context.Context, token domain.RecoveryGrantToken, browser domain.Binding) (ceremony.Begun, error) {
	now := b.Clock.Now()
	var user *domain.User
	var present domain.Passkeys
	err := b.Store.View(ctx, func(tx ports.Tx) error {
		grant, err := tx.RecoveryGrants.ByToken(ctx, token.Digest())
		if err != nil {
			return err
		}
		if err := errors.Join(grant.RequireUnexpired(now), grant.RequireFactors(b.Policy)); err != nil {
			return err
		}
		if user, err = tx.Users.ByID(ctx, grant.UserID()); err != nil {
			return err
		}
		if user.Disabled() {
			return domain.ErrRecoveryGrantInvalid // nobody is told about an account before they have proved that it is theirs
		}
		present, err = tx.Credentials.ListByUser(ctx, user.ID())
		return err
	})
	if err != nil {
		return ceremony.Begun{}, err
	}
	registration, err := b.RelyingParty.BeginRegistration(user.Entity(), present.Descriptors())
	if err != nil {
		return ceremony.Begun{}, err
	}
	return b.Challenges.Begin(ctx, domain.PurposeRecovery, domain.ChallengeContext{Browser: browser, RecoveryGrant: token.Digest()}, registration, nil)
}
