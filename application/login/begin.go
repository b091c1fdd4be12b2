// Package login signs people in with a passkey: one that they choose, or one of the account they name.
package login

import (
	"context"
	"errors"

	"github.com/keylodge/keylodge/application/ceremony"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Begin starts a sign-in.
type Begin struct {
	Store        ports.Store
	RelyingParty ports.RelyingParty
	Challenges   *ceremony.Challenges
	Decoys       domain.Decoys
}

// Execute returns the options for any passkey, or with an address for those of its account. An address without an
// account is answered in the same way with decoys, after the same look-ups.
func (b *Begin) Execute(ctx context.Context, email domain.Email, by domain.Binding) (ceremony.Begun, error) {
	var allowed []domain.CredentialDescriptor
	if email != "" {
		var err error
		if allowed, err = b.passkeysOf(ctx, email); err != nil {
			return ceremony.Begun{}, err
		}
	}
	authentication, err := b.RelyingParty.BeginAuthentication(allowed)
	if err != nil {
		return ceremony.Begun{}, err
	}
	return b.Challenges.Begin(ctx, domain.PurposeLogin, domain.ChallengeContext{Browser: by}, authentication, nil)
}

func (b *Begin) passkeysOf(ctx context.Context, email domain.Email) ([]domain.CredentialDescriptor, error) {
	decoys := b.Decoys.Descriptors(email)
	var credentials domain.Passkeys
	err := b.Store.View(ctx, func(tx ports.Tx) error {
		var id domain.UserID // nobody's, if the address is nobody's: looked up all the same, for the time it takes
		user, err := tx.Users.ByEmail(ctx, email)
		switch {
		case err == nil:
			id = user.ID()
		case !errors.Is(err, domain.ErrUserNotFound):
			return err
		}
		credentials, err = tx.Credentials.ListByUser(ctx, id)
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(credentials) == 0 {
		return decoys, nil
	}
	return credentials.Descriptors(), nil
}
