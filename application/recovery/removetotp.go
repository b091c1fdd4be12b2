package recovery

import (
	"context"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// RemoveTOTP removes the user's authenticator app. It returns domain.ErrStepUpRequired. It is idempotent.
func (s *Service) RemoveTOTP(ctx context.Context, principal identity.Principal) error {
	if err := s.Policy.RequireEnabled(); err != nil {
		return err
	}
	now := s.Clock.Now()
	return s.Store.Update(ctx, func(tx ports.Tx) error {
		principal, err := principal.Reload(ctx, tx, now)
		if err != nil {
			return err
		}
		if err := principal.RequireRecentAuth(s.StepUp, now); err != nil {
			return err
		}
		app, err := tx.TOTPs.Get(ctx, principal.User.ID())
		if err != nil {
			return err
		}
		if err := tx.TOTPs.Remove(ctx, principal.User.ID()); err != nil || !app.Confirmed() {
			return err
		}
		// A grant obtained with the app is revoked.
		if err := tx.RecoveryGrants.Remove(ctx, principal.User.ID()); err != nil {
			return err
		}
		return s.Audit.Record(ctx, tx, principal.Client, now, domain.EventState{Kind: domain.EventTOTPRemoved, UserID: principal.User.ID(), SessionID: principal.Session.ID()})
	})
}
