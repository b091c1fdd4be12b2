package account

import (
	"context"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// ConfirmEmail verifies the pending e-mail address with the code that was sent to it. It returns domain.ErrEmailOff,
// domain.ErrInvalidCode, domain.ErrStepUpRequired in a session opened by recovery, or, for a right code, domain.ErrEmailTaken if
// another account has verified the address meanwhile.
func (s *Service) ConfirmEmail(ctx context.Context, principal identity.Principal, code string) (changed Changed, err error) {
	if err := s.EmailVerification.Policy.RequireEnabled(); err != nil {
		return Changed{}, err
	}
	parsed, err := domain.ParseEmailCode(code)
	if err != nil {
		return Changed{}, err
	}
	now := s.Clock.Now()
	digests := parsed.Digests(s.EmailVerification.Keys, principal.User.ID())
	err = s.Store.Update(ctx, func(tx ports.Tx) error {
		changed = Changed{}
		principal, err := principal.Reload(ctx, tx, now)
		if err != nil {
			return err
		}
		if err := principal.RequirePasskey(); err != nil {
			return err
		}
		before := domain.RestoreUser(principal.User.State())
		rejection := principal.User.VerifyEmail(digests, now)
		if err := tx.Users.Save(ctx, principal.User); err != nil {
			return err
		}
		if rejection != nil {
			return ports.CommitWith(rejection) // the user counts wrong codes
		}
		if err := s.EmailVerification.ClearSendLimit(ctx, tx, principal.User.Email()); err != nil {
			return err
		}
		changed = Changed{User: principal.User, Fields: []string{fieldEmail}}
		if changed.AcceptedCredentials, err = tx.Credentials.ListByUser(ctx, principal.User.ID()); err != nil {
			return err
		}
		return s.recordChange(ctx, tx, principal, before, changed.Fields, now)
	})
	return changed, err
}
