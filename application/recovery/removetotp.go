package recovery

import (
	"context"

	"github.com/keylodge/keylodge/application/audit"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// RemoveTOTP makes an authenticator app count for nothing.
type RemoveTOTP struct {
	Policy domain.RecoveryPolicy
	Store  ports.Store
	Clock  ports.Clock
	Audit  *audit.Log
	StepUp domain.StepUpTTL
}

// Execute fails with domain.ErrRecoveryOff or domain.ErrStepUpRequired. It is no error if there is none.
func (r *RemoveTOTP) Execute(ctx context.Context, actor identity.Principal) error {
	if err := r.Policy.RequireEnabled(); err != nil {
		return err
	}
	now := r.Clock.Now()
	return r.Store.Update(ctx, func(tx ports.Tx) error {
		actor, err := actor.Reload(ctx, tx, now)
		if err != nil {
			return err
		}
		if err := actor.RequireRecentAuth(r.StepUp, now); err != nil {
			return err
		}
		app, err := tx.TOTPs.Get(ctx, actor.User.ID())
		if err != nil {
			return err
		}
		if err := tx.TOTPs.Remove(ctx, actor.User.ID()); err != nil || !app.Confirmed() {
			return err
		}
		// What it has bought goes with it.
		if err := tx.RecoveryGrants.Remove(ctx, actor.User.ID()); err != nil {
			return err
		}
		return r.Audit.Record(ctx, tx, actor.Client, now, domain.EventState{Kind: domain.EventTOTPRemoved, UserID: actor.User.ID(), SessionID: actor.Session.ID()})
	})
}
