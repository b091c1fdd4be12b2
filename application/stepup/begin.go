// Package stepup asks somebody who is signed in to prove again that it is they.
package stepup

import (
	"context"

	"github.com/keylodge/keylodge/application/ceremony"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Begin starts a step-up.
type Begin struct {
	Store        ports.Store
	RelyingParty ports.RelyingParty
	Challenges   *ceremony.Challenges
}

// Execute returns the options for one of the person's own passkeys.
func (b *Begin) Execute(ctx context.Context, actor identity.Principal, browser domain.Binding) (ceremony.Begun, error) {
	var passkeys domain.Passkeys
	err := b.Store.View(ctx, func(tx ports.Tx) (err error) {
		passkeys, err = tx.Credentials.ListByUser(ctx, actor.User.ID())
		return err
	})
	if err != nil {
		return ceremony.Begun{}, err
	}
	authentication, err := b.RelyingParty.BeginAuthentication(passkeys.Descriptors())
	if err != nil {
		return ceremony.Begun{}, err
	}
	return b.Challenges.Begin(ctx, domain.PurposeStepUp, actor.ChallengeContext(browser), authentication, nil)
}
