package passkeys

import (
	"context"

	"github.com/keylodge/keylodge/application/access"
	"github.com/keylodge/keylodge/application/ceremony"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// BeginAdd starts to add a passkey.
type BeginAdd struct {
	Store        ports.Store
	RelyingParty ports.RelyingParty
	Clock        ports.Clock
	Desk         *ceremony.Desk
	StepUp       domain.StepUpTTL
	Limit        domain.PasskeyLimit
}

// Execute returns the options for a passkey on an authenticator that holds none of the person's yet. It fails with
// domain.ErrStepUpRequired or domain.ErrPasskeyLimitReached.
func (b *BeginAdd) Execute(ctx context.Context, actor access.Actor, browser domain.Binding) (ceremony.Started, error) {
	if err := actor.RequireRecentAuth(b.StepUp, b.Clock.Now()); err != nil {
		return ceremony.Started{}, err
	}
	var present domain.Keyring
	err := b.Store.View(ctx, func(tx ports.Tx) (err error) {
		present, err = tx.Credentials.OfUser(ctx, actor.User.ID())
		return err
	})
	if err != nil {
		return ceremony.Started{}, err
	}
	// Asked again when it joins; asked now so that nobody makes a passkey for nothing.
	if err := present.Room(b.Limit); err != nil {
		return ceremony.Started{}, err
	}
	registration, err := b.RelyingParty.BeginRegistration(actor.User.Entity(), present.Descriptors())
	if err != nil {
		return ceremony.Started{}, err
	}
	return b.Desk.Start(ctx, domain.PurposeAddPasskey, actor.Respondent(browser), registration, nil)
}
