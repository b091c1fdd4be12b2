package signup

import (
	"context"
	"errors"

	"github.com/keylodge/keylodge/application/ceremony"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Input is what a new user enters, and the language of their e-mails. Each field may be empty.
type Input struct {
	Email       domain.Email
	DisplayName domain.DisplayName
	Locale      domain.Locale
}

// Begin returns the options for the new passkey. The user is stored with the challenge until Finish. It returns
// domain.ErrRegistrationClosed or, if the server sends no e-mail, domain.ErrEmailTaken.
func (s *Service) Begin(ctx context.Context, in Input, browser domain.Binding) (ceremony.Begun, error) {
	if err := s.Policy.RequireOpen(); err != nil {
		return ceremony.Begun{}, err
	}
	// Finish checks the address again. It is checked here so that no authenticator creates a passkey that is then rejected.
	if err := s.requireEmailAvailable(ctx, in.Email); err != nil {
		return ceremony.Begun{}, err
	}
	user := domain.NewPendingUser(in.Email, in.DisplayName, s.Clock.Now(), s.Random)
	user.Locale = in.Locale
	options, err := s.RelyingParty.BeginRegistration(user.Entity(), nil)
	if err != nil {
		return ceremony.Begun{}, err
	}
	return s.Challenges.Begin(ctx, domain.PurposeSignUp, domain.ChallengeContext{Browser: browser}, options, user)
}

func (s *Service) requireEmailAvailable(ctx context.Context, email domain.Email) error {
	// If the server sends e-mail, only the owner of a taken address learns that it is taken, by e-mail.
	if email == "" || s.EmailVerification.Policy.Enabled() {
		return nil
	}
	err := s.Store.View(ctx, func(tx ports.Tx) error {
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
