package recovery

import (
	"errors"
	"time"

	"github.com/keylodge/keylodge/domain"
)

// attempt is a claim as far as it can be judged without the store.
type attempt struct {
	lookup
	step              domain.TOTPStep
	wrongCode         bool // the code of the app is not right
	hasBackupCode     bool // a backup code was shown
	backupCodeDigests []domain.BackupCodeDigest
}

// verify does the cryptography. An account without an app is judged by a secret that is nobody's.
func (r *Redeem) verify(typed parsedCodes, s lookup, now time.Time) (attempt, error) {
	a := attempt{lookup: s, hasBackupCode: !typed.backup.IsZero()}
	if a.hasBackupCode {
		a.backupCodeDigests = r.Peppers.Digests(typed.backup)
	}
	if typed.totp.IsZero() {
		return a, nil
	}
	secret, decoy, err := r.totpSecret(s)
	if err != nil {
		return attempt{}, err
	}
	switch step, err := r.Codes.FindStep(secret, typed.totp, now); {
	case errors.Is(err, domain.ErrInvalidCode):
		a.wrongCode = true
	case err != nil:
		return attempt{}, err
	default:
		a.step, a.wrongCode = step, decoy
	}
	return a, nil
}

// totpSecret returns a decoy for an account without an app, and for one whose app nobody can open because its secret was taken away: a
// fault would tell that the account is there. `keylodge doctor` tells the operator.
func (r *Redeem) totpSecret(s lookup) (secret domain.Secret, decoy bool, err error) {
	if s.totp.Confirmed() {
		if plain, err := r.Sealer.Open(s.totp.Secret(), additionalData(s.user)); err == nil {
			return domain.NewSecret(string(plain)), false, nil
		}
	}
	secret, err = r.Codes.DecoySecret()
	return secret, true, err
}
