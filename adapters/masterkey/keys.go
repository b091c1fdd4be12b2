package masterkey

import (
	"fmt"

	"github.com/keylodge/keylodge/domain"
)

// Purpose is what a key is derived for.
type Purpose int

// All purposes.
const (
	Sealing Purpose = iota
	DecoyPasskeys
	RefreshTokens
	BackupCodes
	RecoveryGrants
	EmailCodes
	Exports
	BrowserBinding
	CSRFTokens
	RecoveryLockouts
	RateLimits
	ForwardAuth
)

// purposes are the names in the derivation. A changed name makes another key.
var purposes = [...]string{ //nolint:gosec // G101: names, not credentials
	Sealing: "sealing", DecoyPasskeys: "decoy passkeys", RefreshTokens: "refresh tokens", BackupCodes: "backup codes", RecoveryGrants: "recovery grants",
	EmailCodes: "e-mail codes", Exports: "exports", BrowserBinding: "browser binding", CSRFTokens: "CSRF tokens", RecoveryLockouts: "recovery lockouts",
	RateLimits: "rate limits", ForwardAuth: "forward auth",
}

func (p Purpose) String() string { return purposes[p] }

// Purposes returns all purposes. No key is derived for another one.
func Purposes() []Purpose {
	all := make([]Purpose, len(purposes))
	for i := range all {
		all[i] = Purpose(i)
	}
	return all
}

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
	ForwardAuth    domain.KeyRing[domain.ForwardAuthToken]
	Lockouts       domain.LockoutKey // a new secret resets the counters of wrong codes
	RateLimits     domain.RateKey    // a new secret refills all buckets once
}

// NewKeys derives all keys. It fails only if the platform does not allow HKDF.
func NewKeys(current Key, previous []Key) (Keys, error) {
	var deriveErr error
	one := func(purpose Purpose) []byte {
		key, err := current.Derive(purpose)
		if err != nil {
			deriveErr = fmt.Errorf("deriving the key for %s: %w", purpose, err)
		}
		return key
	}
	all := func(purpose Purpose) [][]byte {
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
		Decoys:         all(DecoyPasskeys),
		RefreshTokens:  all(RefreshTokens),
		BackupCodes:    all(BackupCodes),
		RecoveryGrants: all(RecoveryGrants),
		EmailCodes:     all(EmailCodes),
		Exports:        all(Exports),
		BrowserBinding: all(BrowserBinding),
		CSRFTokens:     all(CSRFTokens),
		ForwardAuth:    all(ForwardAuth),
		Lockouts:       one(RecoveryLockouts),
		RateLimits:     one(RateLimits),
	}
	return keys, deriveErr
}
