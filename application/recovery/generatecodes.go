package recovery

import (
	"context"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// GenerateCodes returns a new set of backup codes, which are shown once, and replaces the previous set. It returns
// domain.ErrStepUpRequired.
func (s *Service) GenerateCodes(ctx context.Context, principal identity.Principal) ([]domain.BackupCode, error) {
	if err := s.Policy.RequireEnabled(); err != nil {
		return nil, err
	}
	now := s.Clock.Now()
	codes := domain.NewBackupCodes(s.Random)
	digests := make([]domain.BackupCodeDigest, len(codes))
	for i, code := range codes {
		digests[i] = code.Digest(s.Peppers)
	}
	err := s.Store.Update(ctx, func(tx ports.Tx) error {
		principal, err := principal.Reload(ctx, tx, now)
		if err != nil {
			return err
		}
		if err := principal.RequireRecentAuth(s.StepUp, now); err != nil {
			return err
		}
		if err := tx.BackupCodes.Replace(ctx, principal.User.ID(), digests, now); err != nil {
			return err
		}
		// A grant obtained with a previous code is revoked.
		if err := tx.RecoveryGrants.Remove(ctx, principal.User.ID()); err != nil {
			return err
		}
		return s.Audit.Record(ctx, tx, principal.Client, now, domain.EventState{Kind: domain.EventBackupCodesGenerated, UserID: principal.User.ID(), SessionID: principal.Session.ID()})
	})
	if err != nil {
		return nil, err
	}
	return codes, nil
}
