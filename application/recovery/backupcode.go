package recovery

import (
	"context"
	"errors"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// backupCodeDigests returns the digests under which the code may be stored; none for the zero code.
func (s *Service) backupCodeDigests(code domain.BackupCode) []domain.BackupCodeDigest {
	if code.IsZero() {
		return nil
	}
	return code.Digests(s.Peppers)
}

// findBackupCode returns the code's owner and stored digest. It returns domain.ErrInvalidCode for an unknown code, and for the code
// of another account than the named one.
func findBackupCode(ctx context.Context, tx ports.Tx, acct account, digests []domain.BackupCodeDigest) (domain.UserID, domain.BackupCodeDigest, error) {
	owner, digest, err := tx.BackupCodes.FindOwner(ctx, digests)
	if err == nil && acct.named && owner != acct.id {
		err = domain.ErrInvalidCode
	}
	return owner, digest, err
}

// reissueGrant returns the unexpired grant of an earlier redemption of the same backup code: the client did not receive the
// response. It returns nil if there is none, or if its token cannot be derived again.
func (s *Service) reissueGrant(ctx context.Context, tx ports.Tx, owner domain.UserID, code domain.BackupCodeDigest, now time.Time) (*domain.RecoveryGrant, domain.RecoveryGrantToken, error) {
	grant, err := tx.RecoveryGrants.ByUser(ctx, owner)
	switch {
	case errors.Is(err, domain.ErrRecoveryGrantInvalid):
		return nil, domain.RecoveryGrantToken{}, nil
	case err != nil:
		return nil, domain.RecoveryGrantToken{}, err
	case grant.BackupCode() != code || grant.Expired(now):
		return nil, domain.RecoveryGrantToken{}, nil
	}
	token, found := grant.RederiveToken(s.Keys)
	if !found {
		return nil, domain.RecoveryGrantToken{}, nil
	}
	return grant, token, nil
}
