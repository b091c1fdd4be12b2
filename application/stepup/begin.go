// Package stepup asks somebody who is signed in to prove again that it is they.
package stepup

import (
	"context"

	"github.com/keylodge/keylodge/application/access"
	"github.com/keylodge/keylodge/application/ceremony"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Begin starts a step-up.
type Begin struct {
	Store        ports.Store
	RelyingParty ports.RelyingParty
	Desk         *ceremony.Desk
}

// Execute returns the options for one of the person's own passkeys.
func (b *Begin) Execute(ctx context.Context, actor access.Actor, browser domain.Binding) (ceremony.Started, error) {
	var passkeys domain.Keyring
	err := b.Store.View(ctx, func(tx ports.Tx) (err error) {
		passkeys, err = tx.Credentials.OfUser(ctx, actor.User.ID())
		return err
	})
	if err != nil {
		return ceremony.Started{}, err
	}
	authentication, err := b.RelyingParty.BeginAuthentication(passkeys.Descriptors())
	if err != nil {
		return ceremony.Started{}, err
	}
	return b.Desk.Start(ctx, domain.PurposeStepUp, actor.Respondent(browser), authentication, nil)
}
