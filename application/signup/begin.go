package signup

import (
	"context"
	"errors"

	"github.com/keylodge/keylodge/application/ceremony"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Input is what a new user enters, the language of their e-mails, and the token of their invite. Each field may be empty.
type Input struct {
	Email       domain.Email
	DisplayName domain.DisplayName
	Locale      domain.Locale
	Invite      domain.InviteToken
}

// Begin returns the options for the new passkey. The user is stored with the challenge until Finish. It returns
// the errors of domain.RegistrationPolicy.RequireSignUp, domain.ErrInviteInvalid, the errors of domain.Invite.RequireActive and EmailFor,
// or, if the server sends no e-mail, domain.ErrEmailTaken.
func (s *Service) Begin(ctx context.Context, in Input, browser domain.Binding) (ceremony.Begun, error) {
	if err := s.Policy.RequireSignUp(!in.Invite.IsZero()); err != nil {
		return ceremony.Begun{}, err
	}
	// Finish checks the invite and the address again. They are checked here so that no authenticator creates a passkey that is then
	// rejected.
	invite, err := s.findInvite(ctx, &in)
	if err != nil {
		return ceremony.Begun{}, err
	}
	if err := s.requireEmailAvailable(ctx, in.Email); err != nil {
		return ceremony.Begun{}, err
	}
	user := domain.NewPendingUser(in.Email, in.DisplayName, s.Clock.Now(), s.Random)
	user.Locale, user.Invite = in.Locale, invite
	options, err := s.RelyingParty.BeginRegistration(user.Entity(), nil)
	if err != nil {
		return ceremony.Begun{}, err
	}
	return s.Challenges.Begin(ctx, domain.PurposeSignUp, domain.ChallengeContext{Browser: browser}, options, user)
}

// findInvite returns the id of the invite; zero without one. The address of the invite becomes that of the input.
func (s *Service) findInvite(ctx context.Context, in *Input) (domain.InviteID, error) {
	if in.Invite.IsZero() {
		return domain.InviteID{}, nil
	}
	now := s.Clock.Now()
	var invite *domain.Invite
	err := s.Store.View(ctx, func(tx ports.Tx) (err error) {
		invite, err = tx.Invites.ByToken(ctx, in.Invite.Digest())
		return err
	})
	if err != nil {
		return domain.InviteID{}, err
	}
	if err := invite.RequireActive(now); err != nil {
		return domain.InviteID{}, err
	}
	in.Email, err = invite.EmailFor(in.Email)
	return invite.ID(), err
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
