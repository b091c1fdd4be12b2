package masterkey

import (
	"fmt"

	"github.com/keylodge/keylodge/domain"
)

// Keys are the keys that a server derives from its secrets, one field per purpose. A list starts with the key of the current
// secret, which signs; all keys verify, so that a new secret invalidates nothing. A single key is derived from the current secret
// only.
type Keys struct {
	Decoys         domain.KeyRing[domain.Decoys]
	RefreshTokens  domain.KeyRing[domain.RefreshToken]
	BackupCodes    domain.KeyRing[domain.BackupCode]
	RecoveryGrants domain.KeyRing[domain.RecoveryGrantToken]
	EmailCodes     domain.KeyRing[domain.EmailCode]
	Exports        domain.KeyRing[domain.UserState]
	BrowserBinding domain.KeyRing[domain.Binding]
	CSRFTokens     domain.KeyRing[domain.SessionID]
	Lockouts       domain.LockoutKey // a new secret resets the counters of wrong codes
	RateLimits     domain.RateKey    // a new secret refills all buckets once
}

// NewKeys derives all keys. It fails only if the platform does not allow HKDF.
func NewKeys(current Key, previous []Key) (Keys, error) {
	var deriveErr error
	one := func(purpose string) []byte {
		key, err := current.Derive(purpose)
		if err != nil {
			deriveErr = fmt.Errorf("deriving the key for %s: %w", purpose, err)
		}
		return key
	}
	all := func(purpose string) [][]byte {
		keys := [][]byte{one(purpose)}
		for _, secret := range previous {
			key, err := secret.Derive(purpose)
			if err != nil {
				deriveErr = fmt.Errorf("deriving a previous key for %s: %w", purpose, err)
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
	return keys, deriveErr
}
