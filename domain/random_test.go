package domain_test

import (
	"bytes"
	"encoding/base64"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
)

// TestSecrets_EffectiveRandomBits counts the random bits that change a secret when flipped. A secret that is sufficient by itself
// has 128 or more (OWASP ASVS 5.0, 11.5.1), a code with limited attempts 20 or more (6.5.4), and a backup code 64
// (NIST SP 800-63B-4, section 4.2.1.1).
// Requirement: WebAuthn-14.6.1, ASVS-6.5.3, ASVS-7.2.1, ASVS-11.5.1, NIST-5.1
func TestSecrets_EffectiveRandomBits(t *testing.T) {
	key := [][]byte{bytes.Repeat([]byte{7}, 32)}
	passkey := credential(t, synced, 0)
	for name, c := range map[string]struct {
		want int
		draw func(random io.Reader) string
	}{
		"session token": {256, func(random io.Reader) string {
			return domain.NewSessionToken(random).Reveal()
		}},
		"refresh token's nonce": {256, func(random io.Reader) string {
			_, token := domain.OpenBearerSession(passkey, domain.Device{}, lifetime, key, noon, random)
			raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(token.Reveal(), "klr_"))
			if err != nil {
				t.Fatal(err)
			}
			return string(raw[16:48]) // after the session's id, before the tag, which is derived from both
		}},
		"recovery grant token": {256, func(random io.Reader) string {
			_, token := domain.NewRecoveryGrant(adasID, []domain.RecoveryFactor{domain.FactorTOTP}, domain.BackupCodeDigest{}, key, noon, random)
			return token.Reveal()
		}},
		"user handle": {256, func(random io.Reader) string { return string(domain.NewUserHandle(random)) }},
		"access token id": {128, func(random io.Reader) string {
			return domain.AccessPolicy{}.AccessClaims(domain.RestoreSession(domain.SessionState{}), noon, random).TokenID
		}},
		"challenge id": {74, func(random io.Reader) string { return domain.NewChallengeID(noon, random).String() }},
		"backup code":  {80, func(random io.Reader) string { return domain.NewBackupCodes(random)[0].Reveal() }},
		"e-mail code":  {26, func(random io.Reader) string { return domain.NewEmailCode(random).Reveal() }},
	} {
		t.Run(name, func(t *testing.T) {
			source := make([]byte, 4096)
			rand.NewChaCha8([32]byte{1}).Read(source)
			source[0] &= 0x7f // NewEmailCode discards a number that is too large
			draw := func() string { return c.draw(bytes.NewReader(source)) }
			original, bits := draw(), 0
			for bit := range 8 * 256 {
				source[bit/8] ^= 1 << (bit % 8)
				if draw() != original {
					bits++
				}
				source[bit/8] ^= 1 << (bit % 8)
			}
			if bits < c.want {
				t.Errorf("%d random bits, want %d", bits, c.want)
			}
		})
	}
}

// Zeros in the place of random bytes could be guessed, so that a constructor panics if its source has too few.
// Requirement: ASVS-11.5.1
func TestConstructors_PanicWithoutRandomBytes(t *testing.T) {
	key := credential(t, synced, 0)
	for name, c := range map[string]struct {
		size int // bytes that it reads
		make func(random io.Reader)
	}{
		"id":           {10, func(r io.Reader) { domain.NewUserID(noon, r) }},
		"user handle":  {32, func(r io.Reader) { domain.NewUserHandle(r) }},
		"pending user": {42, func(r io.Reader) { domain.NewPendingUser("", "", noon, r) }},
		"challenge": {10, func(r io.Reader) {
			domain.NewChallenge(domain.PurposeLogin, domain.ChallengeContext{}, nil, nil, time.Minute, noon, r)
		}},
		"session":        {42, func(r io.Reader) { domain.OpenSession(key, domain.Device{}, lifetime, noon, r) }},
		"session token":  {32, func(r io.Reader) { domain.NewSessionToken(r) }},
		"bearer session": {42, func(r io.Reader) { domain.OpenBearerSession(key, domain.Device{}, lifetime, refreshKeys, noon, r) }},
		"event":          {10, func(r io.Reader) { domain.NewEvent(domain.EventState{}, noon, r) }},
		"notification":   {10, func(r io.Reader) { domain.NewNotificationEmail("", "", adasID, "", domain.EventState{}, noon, r) }},
		"claims": {16, func(r io.Reader) {
			domain.AccessPolicy{}.AccessClaims(domain.RestoreSession(domain.SessionState{}), noon, r)
		}},
		"recovery grant":       {32, func(r io.Reader) { domain.NewRecoveryGrant(adasID, nil, domain.BackupCodeDigest{}, grantKeys, noon, r) }},
		"backup codes":         {160, func(r io.Reader) { domain.NewBackupCodes(r) }},
		"e-mail code":          {4, func(r io.Reader) { domain.NewEmailCode(r) }},
		"second try of a code": {4, func(r io.Reader) { domain.NewEmailCode(io.MultiReader(randomNumbers(1<<32-1), r)) }},
	} {
		for size := range c.size + 1 {
			panicked := func() (panicked bool) {
				defer func() { panicked = recover() != nil }()
				c.make(bytes.NewReader(make([]byte, size)))
				return false
			}()
			if panicked != (size < c.size) {
				t.Errorf("%s of %d random bytes: panic %t", name, size, panicked)
			}
		}
	}
}
