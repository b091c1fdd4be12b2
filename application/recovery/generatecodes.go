package recovery

import (
	"context"
	"io"

	"github.com/keylodge/keylodge/application/audit"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// GenerateCodes gives a person a new set of backup codes, and makes the former one worthless.
type GenerateCodes struct {
	Policy  domain.RecoveryPolicy
	Store   ports.Store
	Clock   ports.Clock
	Random  io.Reader
	Audit   *audit.Log
	StepUp  domain.StepUpTTL
	Peppers domain.BackupCodePeppers
}

// Execute returns the codes, which are shown once. It fails with domain.ErrRecoveryOff or domain.ErrStepUpRequired.
func (m *GenerateCodes) Execute(ctx context.Context, actor identity.Principal) ([]domain.BackupCode, error) {
	if err := m.Policy.RequireEnabled(); err != nil {
		return nil, err
	}
	now := m.Clock.Now()
	codes, err := domain.NewBackupCodes(m.Random)
	if err != nil {
		return nil, err
	}
	digests := make([]domain.BackupCodeDigest, len(codes))
	for i, code := range codes {
		digests[i] = m.Peppers.Digest(code)
	}
	err = m.Store.Update(ctx, func(tx ports.Tx) error {
		actor, err := actor.Reload(ctx, tx, now)
		if err != nil {
			return err
		}
		if err := actor.RequireRecentAuth(m.StepUp, now); err != nil {
			return err
		}
		if err := tx.BackupCodes.Replace(ctx, actor.User.ID(), digests, now); err != nil {
			return err
		}
		// What the former ones have bought goes with them.
		if err := tx.RecoveryGrants.Remove(ctx, actor.User.ID()); err != nil {
			return err
		}
		return m.Audit.Record(ctx, tx, actor.Client, now, domain.EventState{Kind: domain.EventBackupCodesGenerated, UserID: actor.User.ID(), SessionID: actor.Session.ID()})
	})
	if err != nil {
		return nil, err
	}
	return codes, nil
}
