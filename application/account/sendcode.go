package account

import (
	"context"
	"time"

	"github.com/keylodge/keylodge/application/emailverify"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// SendCode has another code sent to the address that a person says is theirs.
type SendCode struct {
	Store             ports.Store
	Clock             ports.Clock
	EmailVerification *emailverify.Service
}

// Execute returns until when the code is good; those before it are not any more. It fails with domain.ErrEmailOff,
// domain.ErrNoPendingEmail, a *domain.RetryAfterError after too many of them, or domain.ErrStepUpRequired in a recovered session.
func (s *SendCode) Execute(ctx context.Context, actor identity.Principal) (expires time.Time, err error) {
	if err := s.EmailVerification.Policy.RequireEnabled(); err != nil {
		return time.Time{}, err
	}
	now := s.Clock.Now()
	draft, err := s.EmailVerification.GenerateCode(actor.User.ID(), now)
	if err != nil {
		return time.Time{}, err
	}
	err = s.Store.Update(ctx, func(tx ports.Tx) error {
		actor, err := actor.Reload(ctx, tx, now)
		if err != nil {
			return err
		}
		if err := actor.RequirePasskey(); err != nil {
			return err
		}
		unproved := unverifiedEmail(actor.User)
		if unproved == "" {
			return domain.ErrNoPendingEmail
		}
		message, err := s.EmailVerification.Request(ctx, tx, actor.User, unproved, draft, now)
		if err != nil {
			return err
		}
		if err := tx.Users.Save(ctx, actor.User); err != nil {
			return err
		}
		expires = actor.User.State().PendingEmail.ExpiresAt
		return tx.OutboxEmails.Add(ctx, message)
	})
	return expires, err
}

// unverifiedEmail is the address that a code would prove: the one that is claimed, or one that is held since before the server
// sent mail. It is "" if there is neither.
func unverifiedEmail(u *domain.User) domain.Email {
	if u.PendingEmail() == "" && !u.EmailVerified() {
		return u.Email()
	}
	return u.PendingEmail()
}
