package domain

import (
	"crypto/sha256"
	"encoding/base64"
	"io"
	"slices"
	"strings"
	"time"
)

// RecoveryGrant is the result of a recovery: it authorises the registration of one passkey and nothing else. It is not a session.
type RecoveryGrant struct{ state RecoveryGrantState }

// RecoveryGrantState is the state of a grant as it is stored. A user has at most one grant.
type RecoveryGrantState struct {
	UserID     UserID
	Token      TokenDigest
	Nonce      []byte           // the token is derived from it and a key of the server
	BackupCode BackupCodeDigest // the backup code of the recovery, consumed with the grant; zero if none
	Factors    []RecoveryFactor
	CreatedAt  time.Time
	ExpiresAt  time.Time
}

// RecoveryFactor is a factor of a recovery.
type RecoveryFactor string

const (
	FactorTOTP       RecoveryFactor = "totp"
	FactorBackupCode RecoveryFactor = "backup_code"
	FactorOperator   RecoveryFactor = "operator" // the operator has verified the person
)

// RecoveryGrantToken is the secret of a recovery grant.
type RecoveryGrantToken struct{ Secret }

const (
	recoveryGrantTTL         = 10 * time.Minute
	operatorGrantTTL         = 15 * time.Minute
	firstPasskeyGrantTTL     = 7 * 24 * time.Hour // there is nothing in the account yet
	recoveryGrantTokenPrefix = "klg_"             // lets secret scanners find a leaked token
	recoveryGrantNonceLength = 32
)

// NewRecoveryGrant returns a grant for a recovery with the given factors, and its token. Code is the digest of the backup code, if
// one is among the factors.
func NewRecoveryGrant(owner UserID, factors []RecoveryFactor, code BackupCodeDigest, keys KeyRing[RecoveryGrantToken], now time.Time, random io.Reader) (*RecoveryGrant, RecoveryGrantToken) {
	nonce := make([]byte, recoveryGrantNonceLength)
	readRandom(random, nonce)
	ttl := recoveryGrantTTL
	if slices.Contains(factors, FactorOperator) {
		ttl = operatorGrantTTL
	}
	g := &RecoveryGrant{RecoveryGrantState{UserID: owner, Nonce: nonce, BackupCode: code, Factors: slices.Clone(factors), CreatedAt: now, ExpiresAt: now.Add(ttl)}}
	token := g.deriveToken(keys[0])
	g.state.Token = token.Digest()
	return g, token
}

// NewFirstPasskeyGrant returns a grant for a user whom the operator has just created, and its token. It is a grant of FactorOperator with a
// longer lifetime.
func NewFirstPasskeyGrant(owner UserID, keys KeyRing[RecoveryGrantToken], now time.Time, random io.Reader) (*RecoveryGrant, RecoveryGrantToken) {
	grant, token := NewRecoveryGrant(owner, []RecoveryFactor{FactorOperator}, BackupCodeDigest{}, keys, now, random)
	grant.state.ExpiresAt = now.Add(firstPasskeyGrantTTL)
	return grant, token
}

// RederiveToken returns the grant's token again, for a client that repeats the recovery because the response was lost. It returns
// false if the key of the token was removed.
func (g *RecoveryGrant) RederiveToken(keys KeyRing[RecoveryGrantToken]) (RecoveryGrantToken, bool) {
	for _, key := range keys {
		if token := g.deriveToken(key); token.Digest() == g.state.Token {
			return token, true
		}
	}
	return RecoveryGrantToken{}, false
}

func (g *RecoveryGrant) deriveToken(key []byte) RecoveryGrantToken {
	mac := hmacSHA256(key, []byte("grant\x00"), g.state.UserID.uuid[:], g.state.Nonce)
	return RecoveryGrantToken{NewSecret(recoveryGrantTokenPrefix + base64.RawURLEncoding.EncodeToString(mac))}
}

// ParseRecoveryGrantToken parses a token. People copy it from links, so that white space, invisible characters and full-width
// forms are normalized as in normalizeCode; hyphens and case matter. It returns ErrRecoveryGrantInvalid for a malformed token.
func ParseRecoveryGrantToken(s string) (RecoveryGrantToken, error) {
	s = foldCode(s, func(rune) bool { return false })
	encoded, found := strings.CutPrefix(s, recoveryGrantTokenPrefix)
	if !found || len(encoded) != base64.RawURLEncoding.EncodedLen(sha256.Size) {
		return RecoveryGrantToken{}, ErrRecoveryGrantInvalid
	}
	return RecoveryGrantToken{NewSecret(s)}, nil
}

func (t RecoveryGrantToken) Digest() TokenDigest { return sha256.Sum256([]byte(t.Reveal())) }

// RestoreRecoveryGrant returns the grant with the given state.
func RestoreRecoveryGrant(s RecoveryGrantState) *RecoveryGrant { return &RecoveryGrant{s.clone()} }

// State returns a copy of the state, for storage.
func (g *RecoveryGrant) State() RecoveryGrantState { return g.state.clone() }

func (s RecoveryGrantState) clone() RecoveryGrantState {
	s.Nonce, s.Factors = slices.Clone(s.Nonce), slices.Clone(s.Factors)
	return s
}

func (g *RecoveryGrant) UserID() UserID               { return g.state.UserID }
func (g *RecoveryGrant) BackupCode() BackupCodeDigest { return g.state.BackupCode }
func (g *RecoveryGrant) ExpiresAt() time.Time         { return g.state.ExpiresAt }
func (g *RecoveryGrant) Factors() []RecoveryFactor    { return slices.Clone(g.state.Factors) }
func (g *RecoveryGrant) CreatedAt() time.Time         { return g.state.CreatedAt }

// RequireFactors returns ErrRecoveryGrantInvalid if the policy, which may have changed meanwhile, requires more factors than the
// grant has. FactorOperator satisfies every policy.
func (g *RecoveryGrant) RequireFactors(policy RecoveryPolicy) error {
	has := func(f RecoveryFactor) bool { return slices.Contains(g.state.Factors, f) }
	switch {
	case has(FactorOperator),
		policy == RecoveryAny,
		policy == RecoveryBoth && has(FactorTOTP) && has(FactorBackupCode):
		return nil
	}
	return ErrRecoveryGrantInvalid
}

// Expired reports whether the grant has expired.
func (g *RecoveryGrant) Expired(now time.Time) bool { return !now.Before(g.state.ExpiresAt) }

// RequireUnexpired returns ErrRecoveryGrantInvalid if the grant has expired.
func (g *RecoveryGrant) RequireUnexpired(now time.Time) error {
	if g.Expired(now) {
		return ErrRecoveryGrantInvalid
	}
	return nil
}
