// Package signup makes an account: a passkey first, and a name and an address only if the person wants.
package signup

import (
	"context"
	"errors"
	"io"

	"github.com/keylodge/keylodge/application/ceremony"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Begin starts a sign-up. Until it is finished there is no user, only a challenge that knows the applicant.
type Begin struct {
	Policy       domain.RegistrationPolicy
	Mail         domain.EmailPolicy
	Store        ports.Store
	RelyingParty ports.RelyingParty
	Clock        ports.Clock
	Random       io.Reader
	Challenges   *ceremony.Challenges
}

// Input is what the person says about themselves. Both may be empty.
type Input struct {
	Email       domain.Email
	DisplayName domain.DisplayName
}

// Execute returns the options for the new passkey. It fails with domain.ErrRegistrationClosed or, where no mail is sent,
// domain.ErrEmailTaken.
func (b *Begin) Execute(ctx context.Context, application Input, by domain.Binding) (ceremony.Begun, error) {
	if err := b.Policy.RequireOpen(); err != nil {
		return ceremony.Begun{}, err
	}
	// Asked again when the sign-up ends; asked now so that nobody makes a passkey for an account that cannot be.
	if err := b.requireEmailAvailable(ctx, application.Email); err != nil {
		return ceremony.Begun{}, err
	}
	applicant, err := domain.NewPendingUser(application.Email, application.DisplayName, b.Clock.Now(), b.Random)
	if err != nil {
		return ceremony.Begun{}, err
	}
	registration, err := b.RelyingParty.BeginRegistration(applicant.Entity(), nil)
	if err != nil {
		return ceremony.Begun{}, err
	}
	return b.Challenges.Begin(ctx, domain.PurposeSignUp, domain.ChallengeContext{Browser: by}, registration, applicant)
}

func (b *Begin) requireEmailAvailable(ctx context.Context, email domain.Email) error {
	// Where mail is sent the owner of the address is told, and not whoever asks.
	if email == "" || b.Mail.Enabled() {
		return nil
	}
	err := b.Store.View(ctx, func(tx ports.Tx) error {
		_, err := tx.Users.ByEmail(ctx, email)
		return err
	})
	switch {
	case errors.Is(err, domain.ErrUserNotFound):
		return nil
	case err != nil:
		return err
	}
	return domain.ErrEmailTaken
}
