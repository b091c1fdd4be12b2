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
	Mail         domain.MailPolicy
	Store        ports.Store
	RelyingParty ports.RelyingParty
	Clock        ports.Clock
	Random       io.Reader
	Desk         *ceremony.Desk
}

// Application is what the person says about themselves. Both may be empty.
type Application struct {
	Email       domain.Email
	DisplayName domain.DisplayName
}

// Execute returns the options for the new passkey. It fails with domain.ErrRegistrationClosed or, where no mail is sent,
// domain.ErrEmailTaken.
func (b *Begin) Execute(ctx context.Context, application Application, by domain.Binding) (ceremony.Started, error) {
	if err := b.Policy.Admits(); err != nil {
		return ceremony.Started{}, err
	}
	// Asked again when the sign-up ends; asked now so that nobody makes a passkey for an account that cannot be.
	if err := b.requireFree(ctx, application.Email); err != nil {
		return ceremony.Started{}, err
	}
	applicant, err := domain.NewApplicant(application.Email, application.DisplayName, b.Clock.Now(), b.Random)
	if err != nil {
		return ceremony.Started{}, err
	}
	registration, err := b.RelyingParty.BeginRegistration(applicant.Entity(), nil)
	if err != nil {
		return ceremony.Started{}, err
	}
	return b.Desk.Start(ctx, domain.PurposeSignUp, domain.Respondent{Browser: by}, registration, applicant)
}

func (b *Begin) requireFree(ctx context.Context, email domain.Email) error {
	// Where mail is sent the owner of the address is told, and not whoever asks.
	if email == "" || b.Mail.On() == nil {
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
