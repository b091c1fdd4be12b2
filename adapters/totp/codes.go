// Package totp generates the secrets of authenticator apps and verifies their codes, with github.com/pquerna/otp.
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
	algorithm  = otp.AlgorithmSHA1 // apps accept other algorithms and use this one anyway
	period     = 30                // seconds
	skew       = 1                 // number of steps that a clock may be ahead or behind
	secretSize = 160 / 8           // the recommendation of RFC 4226, section 4
)

// Codes implements ports.TOTPCodes. It has no state and is safe for concurrent use.
type Codes struct{ issuer string }

var _ ports.TOTPCodes = (*Codes)(nil)

// New returns Codes for the accounts of an issuer. Apps show the name of the issuer.
func New(issuer string) *Codes { return &Codes{issuer: withoutColons(issuer)} }

// FindStep implements ports.TOTPCodes. If a code is valid for two steps, it returns the later one, so that the code cannot be used
// again. A secret that is not Base32 is an error.
func (c *Codes) FindStep(secret domain.Secret, code domain.TOTPCode, now time.Time) (domain.TOTPStep, error) {
	if secret.IsZero() {
		return 0, errors.New("verifying a TOTP code: the secret is empty")
	}
	var step, found int
	for offset := -skew; offset <= skew; offset++ { // always all steps, so that the time does not reveal the matching one
		at := now.Add(time.Duration(offset) * period * time.Second)
		valid, err := totp.GenerateCodeCustom(secret.Reveal(), at, totp.ValidateOpts{Period: period, Digits: digits, Algorithm: algorithm})
		if err != nil {
			return 0, fmt.Errorf("verifying a TOTP code: %w", err)
		}
		same := subtle.ConstantTimeCompare([]byte(valid), []byte(code.Reveal()))
		step = subtle.ConstantTimeSelect(same, int(at.Unix()/period), step)
		found |= same
	}
	if found == 0 {
		return 0, domain.ErrInvalidCode
	}
	return domain.TOTPStep(step), nil
}
