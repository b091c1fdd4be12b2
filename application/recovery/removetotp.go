package recovery

import (
	"context"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// RemoveTOTP removes the user's authenticator app. It returns domain.ErrStepUpRequired. It is idempotent.
func (s *Service) RemoveTOTP(ctx context.Context, actor identity.Principal) error {
	if err := s.Policy.RequireEnabled(); err != nil {
		return err
	}
	now := s.Clock.Now()
	return s.Store.Update(ctx, func(tx ports.Tx) error {
		actor, err := actor.Reload(ctx, tx, now)
		if err != nil {
			return err
		}
		if err := actor.RequireRecentAuth(s.StepUp, now); err != nil {
			return err
		}
		app, err := tx.TOTPs.Get(ctx, actor.User.ID())
		if err != nil {
			return err
		}
		if err := tx.TOTPs.Remove(ctx, actor.User.ID()); err != nil || !app.Confirmed() {
			return err
		}
		// A grant obtained with the app is revoked.
		if err := tx.RecoveryGrants.Remove(ctx, actor.User.ID()); err != nil {
			return err
		}
		return s.Audit.Record(ctx, tx, actor.Client, now, domain.EventState{Kind: domain.EventTOTPRemoved, UserID: actor.User.ID(), SessionID: actor.Session.ID()})
	})
}
