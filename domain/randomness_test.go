package domain_test

import (
	"bytes"
	"encoding/base64"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/domain"
)

// How many random bits a secret has is counted, not read off its length: so many of those that it was made from make it another
// one, each by itself. What opens something by itself has 128 or more (OWASP ASVS 5.0, 11.5.1); codes that are counted against
// whoever guesses have 20 or more (6.5.4), and those on paper 64 (NIST SP 800-63B-4, 4.2.1.1).
func TestSecrets_EffectiveRandomBits(t *testing.T) {
	key := [][]byte{bytes.Repeat([]byte{7}, 32)}
	passkey := credential(t, synced, 0)
	for name, c := range map[string]struct {
		least int
		make  func(random io.Reader) (string, error)
	}{
		"a session's token": {256, func(random io.Reader) (string, error) {
			_, token, err := domain.OpenSession(passkey, domain.Device{}, lifetime, noon, random)
			return token.Reveal(), err
		}},
		"a refresh token, without the session's id in it": {256, func(random io.Reader) (string, error) {
			_, token, err := domain.OpenBearerSession(passkey, domain.Device{}, lifetime, key, noon, random)
			if err != nil {
				return "", err
			}
			raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(token.Reveal(), "klr_"))
			return string(raw[16:48]), err // and without the tag, which follows from the rest
		}},
		"a grant's token": {128, func(random io.Reader) (string, error) {
			_, token, err := domain.NewRecoveryGrant(adasID, []domain.RecoveryFactor{domain.FactorTOTP}, domain.BackupCodeDigest{}, key, noon, random)
			return token.Reveal(), err
		}},
		"a user handle": {256, func(random io.Reader) (string, error) {
			handle, err := domain.NewUserHandle(random)
			return string(handle), err
		}},
		"a challenge's id": {74, func(random io.Reader) (string, error) {
			id, err := domain.NewChallengeID(noon, random)
			return id.String(), err
		}},
		"a backup code": {80, func(random io.Reader) (string, error) {
			set, err := domain.NewBackupCodes(random)
			if err != nil {
				return "", err
			}
			return set[0].Reveal(), nil
		}},
		"a code by mail": {26, func(random io.Reader) (string, error) {
			code, err := domain.NewEmailCode(random)
			return code.Reveal(), err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			drawn := make([]byte, 4096)
			rand.NewChaCha8([32]byte{1}).Read(drawn)
			drawn[0] &= 0x7f // of a number that is drawn again if it is too large
			made := func() string {
				secret, err := c.make(bytes.NewReader(drawn))
				if err != nil {
					t.Fatal(err)
				}
				return secret
			}
			usual, count := made(), 0
			for bit := range 8 * 256 {
				drawn[bit/8] ^= 1 << (bit % 8)
				if made() != usual {
					count++
				}
				drawn[bit/8] ^= 1 << (bit % 8)
			}
			if count < c.least {
				t.Errorf("%d random bits, want %d", count, c.least)
			}
		})
	}
}
