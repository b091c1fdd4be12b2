package bootstrap

import (
	"crypto/rand"
	"encoding/base64"
	"testing"

	"github.com/keylodge/keylodge/adapters/masterkey"
	"github.com/keylodge/keylodge/bootstrap/config"
	"github.com/keylodge/keylodge/domain"
)

// Decoys must have only properties that passkeys on this server can have. Otherwise an attacker can distinguish them.
// Requirement: WebAuthn-14.6.2
func TestDecoys_FollowSettings(t *testing.T) {
	secret := func() masterkey.Key {
		raw := make([]byte, masterkey.Size)
		rand.Read(raw)
		key, err := masterkey.Parse(base64.StdEncoding.EncodeToString(raw))
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	current, previous := secret(), secret()
	decoysOf := func(cfg config.Config, secret masterkey.Key) domain.Decoys {
		keys, err := masterKeys(cfg, secret)
		if err != nil {
			t.Fatal(err)
		}
		return decoys(cfg, keys)
	}
	decoy := decoysOf(config.Config{PasskeyLimit: 20}, previous)
	for name, c := range map[string]struct {
		cfg         config.Config
		keys        int
		limit       domain.PasskeyLimit
		deviceBound bool
	}{
		"defaults":        {config.Config{PasskeyLimit: 20}, 1, 20, false},
		"previous secret": {config.Config{PasskeyLimit: 20, PreviousSecrets: []masterkey.Key{previous}}, 2, 20, false},
		"limit of 1":      {config.Config{PasskeyLimit: 1}, 1, 1, false},
		"attestation":     {config.Config{PasskeyLimit: 20, Authenticators: domain.AuthenticatorPolicy{Attested: true}}, 1, 20, true},
		"allowed models":  {config.Config{PasskeyLimit: 20, Authenticators: domain.AuthenticatorPolicy{Allowed: []domain.AAGUID{{1}}}}, 1, 20, true},
		"denied models":   {config.Config{PasskeyLimit: 20, Authenticators: domain.AuthenticatorPolicy{Denied: []domain.AAGUID{{1}}}}, 1, 20, false},
	} {
		got := decoysOf(c.cfg, current)
		if len(got.Keys) != c.keys || got.Limit != c.limit || got.DeviceBoundOnly != c.deviceBound {
			t.Errorf("%s: %d keys, limit %d, device-bound %t", name, len(got.Keys), got.Limit, got.DeviceBoundOnly)
		}
		if got.Contains(decoy.Descriptors("unknown@example.org")[0].ID) != (c.keys == 2) {
			t.Errorf("%s: decoy of the previous secret recognised: %t", name, c.keys != 2)
		}
	}
}
