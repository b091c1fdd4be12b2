package account

import (
	"context"
	"time"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// SendCode sends a new code to the unverified e-mail address and returns when the code expires. Earlier codes become invalid. It
// returns domain.ErrEmailOff, domain.ErrNoPendingEmail, a *domain.RetryAfterError after too many codes, or domain.ErrStepUpRequired
// in a session opened by recovery.
func (s *Service) SendCode(ctx context.Context, principal identity.Principal) (expires time.Time, err error) {
	if err := s.EmailVerification.Policy.RequireEnabled(); err != nil {
		return time.Time{}, err
	}
	now := s.Clock.Now()
	code, err := s.EmailVerification.GenerateCode(principal.User.ID(), now)
	if err != nil {
		return time.Time{}, err
	}
	err = s.Store.Update(ctx, func(tx ports.Tx) error {
		principal, err := principal.Reload(ctx, tx, now)
		if err != nil {
			return err
		}
		if err := principal.RequirePasskey(); err != nil {
			return err
		}
		unverified := unverifiedEmail(principal.User)
		if unverified == "" {
			return domain.ErrNoPendingEmail
		}
		email, err := s.EmailVerification.Request(ctx, tx, principal.User, unverified, code, now)
		if err != nil {
			return err
		}
		if err := tx.Users.Save(ctx, principal.User); err != nil {
			return err
		}
		expires = principal.User.State().PendingEmail.ExpiresAt
		return tx.OutboxEmails.Add(ctx, email)
	})
	return expires, err
}

// unverifiedEmail returns the pending address, else an address that the account has had since before the server sent e-mail, else "".
func unverifiedEmail(u *domain.User) domain.Email {
	if u.PendingEmail() == "" && !u.EmailVerified() {
		return u.Email()
	}
	return u.PendingEmail()
}
