package recovery

import (
	"errors"
	"time"

	"github.com/keylodge/keylodge/domain"
)

// attempt is a claim as far as it can be judged without the store.
type attempt struct {
	seen
	step   domain.TOTPStep
	wrong  bool // the code of the app is not right
	paper  bool // a backup code was shown
	digest []domain.CodeDigest
}

// judge does the cryptography. An account without an app is judged by a secret that is nobody's.
func (r *Redeem) judge(typed codes, s seen, now time.Time) (attempt, error) {
	a := attempt{seen: s, paper: !typed.backup.IsZero()}
	if a.paper {
		a.digest = r.Peppers.Digests(typed.backup)
	}
	if typed.totp.IsZero() {
		return a, nil
	}
	secret, decoy, err := r.secretOf(s)
	if err != nil {
		return attempt{}, err
	}
	switch step, err := r.Codes.Step(secret, typed.totp, now); {
	case errors.Is(err, domain.ErrInvalidCode):
		a.wrong = true
	case err != nil:
		return attempt{}, err
	default:
		a.step, a.wrong = step, decoy
	}
	return a, nil
}

// secretOf returns a decoy for an account without an app, and for one whose app nobody can open because its secret was taken away: a
// fault would tell that the account is there. `keylodge doctor` tells the operator.
func (r *Redeem) secretOf(s seen) (secret domain.Secret, decoy bool, err error) {
	if s.app.Confirmed() {
		if plain, err := r.Sealer.Open(s.app.Secret(), sealingLabel(s.user)); err == nil {
			return domain.NewSecret(string(plain)), false, nil
		}
	}
	secret, err = r.Codes.Decoy()
	return secret, true, err
}
