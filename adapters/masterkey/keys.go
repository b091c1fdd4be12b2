package masterkey

import (
	"fmt"

	"github.com/keylodge/keylodge/domain"
)

// Keys are the keys that an installation derives from its secrets, one field a purpose. A list holds the key of the present
// secret first: that one signs, all verify, so that replacing the secret invalidates nothing. A single key is derived from
// the present secret alone.
type Keys struct {
	Decoys         [][]byte
	RefreshTokens  domain.RefreshKeys
	BackupCodes    domain.BackupCodePeppers
	RecoveryGrants domain.RecoveryGrantKeys
	EmailCodes     domain.EmailCodeKeys
	Exports        [][]byte
	BrowserBinding [][]byte
	CSRFTokens     [][]byte
	Lockouts       domain.LockoutKey // a new secret resets the counts of wrong codes
	RateLimits     domain.RateKey    // a new secret refills all buckets once
}

// NewKeys derives all keys. It fails only if the platform refuses HKDF.
func NewKeys(present Key, previous []Key) (Keys, error) {
	var failure error
	one := func(purpose string) []byte {
		key, err := present.Derive(purpose)
		if err != nil {
			failure = fmt.Errorf("deriving the key for %s: %w", purpose, err)
		}
		return key
	}
	all := func(purpose string) [][]byte {
		keys := [][]byte{one(purpose)}
		for _, secret := range previous {
			key, err := secret.Derive(purpose)
			if err != nil {
				failure = fmt.Errorf("deriving a previous key for %s: %w", purpose, err)
			}
			keys = append(keys, key)
		}
		return keys
	}
	keys := Keys{
		Decoys:         all("decoy passkeys"),
		RefreshTokens:  all("refresh tokens"),
		BackupCodes:    all("backup codes"),
		RecoveryGrants: all("recovery grants"),
		EmailCodes:     all("e-mail codes"),
		Exports:        all("exports"),
		BrowserBinding: all("browser binding"),
		CSRFTokens:     all("CSRF tokens"),
		Lockouts:       one("recovery lockouts"),
		RateLimits:     one("rate limits"),
	}
	return keys, failure
}
