package login

import (
	"context"
	"errors"

	"github.com/keylodge/keylodge/application/ceremony"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Begin returns the options for any discoverable passkey or, with an e-mail address, for the passkeys of its account. For an
// address without an account it returns decoys, after the same queries: on a busy server the minimum response time does not
// hide a missing query.
func (s *Service) Begin(ctx context.Context, email domain.Email, browser domain.Binding) (ceremony.Begun, error) {
	var allowed []domain.CredentialDescriptor
	if email != "" {
		var err error
		if allowed, err = s.passkeysOf(ctx, email); err != nil {
			return ceremony.Begun{}, err
		}
	}
	options, err := s.RelyingParty.BeginAuthentication(allowed)
	if err != nil {
		return ceremony.Begun{}, err
	}
	return s.Challenges.Begin(ctx, domain.PurposeLogin, domain.ChallengeContext{Browser: browser}, options, nil)
}

func (s *Service) passkeysOf(ctx context.Context, email domain.Email) ([]domain.CredentialDescriptor, error) {
	decoys := s.Decoys.Descriptors(email)
	var passkeys domain.Passkeys
	err := s.Store.View(ctx, func(tx ports.Tx) error {
		var id domain.UserID // zero for an unknown address; its passkeys are queried, too, for equal work
		user, err := tx.Users.ByEmail(ctx, email)
		switch {
		case err == nil:
			id = user.ID()
		case !errors.Is(err, domain.ErrUserNotFound):
			return err
		}
		passkeys, err = tx.Credentials.ListByUser(ctx, id)
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(passkeys) == 0 {
		return decoys, nil
	}
	return passkeys.Descriptors(), nil
}
