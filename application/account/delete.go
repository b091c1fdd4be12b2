package account

import (
	"context"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Delete deletes the user and all data of the account. The events of the account are kept, anonymised. It returns
// domain.ErrStepUpRequired without recent authentication.
func (s *Service) Delete(ctx context.Context, principal identity.Principal) error {
	now := s.Clock.Now()
	return s.Store.Update(ctx, func(tx ports.Tx) error {
		principal, err := principal.Reload(ctx, tx, now)
		if err != nil {
			return err
		}
		if err := principal.RequireRecentAuth(s.StepUp, now); err != nil {
			return err
		}
		// Removing the user anonymises this event with all earlier ones.
		e := domain.EventState{Kind: domain.EventAccountDeleted, UserID: principal.User.ID()}
		if err := s.Audit.Record(ctx, tx, principal.Client, now, e); err != nil {
			return err
		}
		// Lockouts are stored under a keyed digest, so that removing the user does not find them.
		if err := tx.Lockouts.Clear(ctx, s.Lockout.Account(principal.User.ID())); err != nil {
			return err
		}
		if err := tx.Users.Remove(ctx, principal.User.ID()); err != nil {
			return err
		}
		return s.Notifier.Queue(ctx, tx, principal.User, domain.UserID{}, domain.EmailKindAccountDeleted, principal.Client, e, now)
	})
}
