package passkeys

import (
	"context"

	"github.com/keylodge/keylodge/application/ceremony"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// BeginAdd starts to add a passkey.
type BeginAdd struct {
	Store        ports.Store
	RelyingParty ports.RelyingParty
	Clock        ports.Clock
	Challenges   *ceremony.Challenges
	StepUp       domain.StepUpTTL
	Limit        domain.PasskeyLimit
}

// Execute returns the options for a passkey on an authenticator that holds none of the person's yet. It fails with
// domain.ErrStepUpRequired or domain.ErrPasskeyLimitReached.
func (b *BeginAdd) Execute(ctx context.Context, actor identity.Principal, browser domain.Binding) (ceremony.Begun, error) {
	if err := actor.RequireRecentAuth(b.StepUp, b.Clock.Now()); err != nil {
		return ceremony.Begun{}, err
	}
	var present domain.Passkeys
	err := b.Store.View(ctx, func(tx ports.Tx) (err error) {
		present, err = tx.Credentials.ListByUser(ctx, actor.User.ID())
		return err
	})
	if err != nil {
		return ceremony.Begun{}, err
	}
	// Asked again when it joins; asked now so that nobody makes a passkey for nothing.
	if err := present.CheckLimit(b.Limit); err != nil {
		return ceremony.Begun{}, err
	}
	registration, err := b.RelyingParty.BeginRegistration(actor.User.Entity(), present.Descriptors())
	if err != nil {
		return ceremony.Begun{}, err
	}
	return b.Challenges.Begin(ctx, domain.PurposeAddPasskey, actor.ChallengeContext(browser), registration, nil)
}
