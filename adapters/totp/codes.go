// Package totp makes and judges the codes of authenticator apps, over github.com/pquerna/otp.
package totp

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

const (
	digits     = otp.DigitsSix
	algorithm  = otp.AlgorithmSHA1 // apps take others and go on with this one
	period     = 30                // seconds
	skew       = 1                 // steps that a clock may be ahead or behind
	secretSize = 160 / 8           // what RFC 4226, section 4, recommends
)

// Codes implements ports.TOTPCodes. It keeps no state and may be used from any number of goroutines.
type Codes struct{ issuer string }

var _ ports.TOTPCodes = (*Codes)(nil)

// New makes codes for the accounts of an issuer: the name under which people find them in their apps.
func New(issuer string) *Codes { return &Codes{issuer: withoutColons(issuer)} }

// FindStep implements ports.TOTPCodes. If one code is right for two steps it is the later one, so that spending it leaves
// nothing of the code to be used again. A secret that is not Base32 is a fault.
func (c *Codes) FindStep(secret domain.Secret, code domain.TOTPCode, now time.Time) (domain.TOTPStep, error) {
	if secret.IsZero() {
		return 0, errors.New("judging a TOTP code: the secret is empty")
	}
	var step, found int
	for offset := -skew; offset <= skew; offset++ { // all of them, lest the time it takes says which one it was
		at := now.Add(time.Duration(offset) * period * time.Second)
		right, err := totp.GenerateCodeCustom(secret.Reveal(), at, totp.ValidateOpts{Period: period, Digits: digits, Algorithm: algorithm})
		if err != nil {
			return 0, fmt.Errorf("judging a TOTP code: %w", err)
		}
		same := subtle.ConstantTimeCompare([]byte(right), []byte(code.Reveal()))
		step = subtle.ConstantTimeSelect(same, int(at.Unix()/period), step)
		found |= same
	}
	if found == 0 {
		return 0, domain.ErrInvalidCode
	}
	return domain.TOTPStep(step), nil
}
