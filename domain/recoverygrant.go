package domain

import (
	"crypto/sha256"
	"encoding/base64"
	"io"
	"slices"
	"strings"
	"time"
)

// RecoveryGrant is what recovery buys: the right to enrol one passkey, and nothing else. It is no session and opens none.
type RecoveryGrant struct{ state RecoveryGrantState }

// RecoveryGrantState is a grant's state as storage keeps it. A user has one at a time.
type RecoveryGrantState struct {
	UserID     UserID
	Token      TokenDigest
	Nonce      []byte           // what the token was made from, together with a key of the server's
	BackupCode BackupCodeDigest // the backup code that paid for it, to be spent with it; zero if none did
	Factors    []RecoveryFactor
	CreatedAt  time.Time
	ExpiresAt  time.Time
}

// RecoveryFactor is what somebody recovers with.
type RecoveryFactor string

const (
	FactorTOTP       RecoveryFactor = "totp"
	FactorBackupCode RecoveryFactor = "backup_code"
	FactorOperator   RecoveryFactor = "operator" // who knows them
)

// RecoveryGrantToken shows that one holds a grant.
type RecoveryGrantToken struct{ Secret }

const (
	recoveryGrantTTL         = 10 * time.Minute
	operatorGrantTTL         = 15 * time.Minute
	recoveryGrantTokenPrefix = "klg_" // lets secret scanners find a leaked token
	recoveryGrantNonceLength = 32
)

// NewRecoveryGrant opens the way to one enrolment, paid by the given factors. Code is that of the backup code, if one paid.
func NewRecoveryGrant(owner UserID, by []RecoveryFactor, code BackupCodeDigest, keys KeyRing[RecoveryGrantToken], now time.Time, random io.Reader) (*RecoveryGrant, RecoveryGrantToken) {
	nonce := make([]byte, recoveryGrantNonceLength)
	readRandom(random, nonce)
	ttl := recoveryGrantTTL
	if slices.Contains(by, FactorOperator) {
		ttl = operatorGrantTTL
	}
	g := &RecoveryGrant{RecoveryGrantState{UserID: owner, Nonce: nonce, BackupCode: code, Factors: slices.Clone(by), CreatedAt: now, ExpiresAt: now.Add(ttl)}}
	token := g.deriveToken(keys[0])
	g.state.Token = token.Digest()
	return g, token
}

// RederiveToken makes the grant's token again, for whoever pays with the same backup code because the answer was lost. It returns
// false if the server's secret was replaced meanwhile.
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

// ParseRecoveryGrantToken takes a token as a client sent it. Since people copy it from links, white space, invisible characters and full-width
// forms are read as normalizeCode reads them; hyphens and case count. It returns ErrRecoveryGrantInvalid for anything that was never made here.
func ParseRecoveryGrantToken(s string) (RecoveryGrantToken, error) {
	s = foldCode(s, func(rune) bool { return false })
	encoded, found := strings.CutPrefix(s, recoveryGrantTokenPrefix)
	if !found || len(encoded) != base64.RawURLEncoding.EncodedLen(sha256.Size) {
		return RecoveryGrantToken{}, ErrRecoveryGrantInvalid
	}
	return RecoveryGrantToken{NewSecret(s)}, nil
}

func (t RecoveryGrantToken) Digest() TokenDigest { return sha256.Sum256([]byte(t.Reveal())) }

// RestoreRecoveryGrant is storage's way back from a snapshot.
func RestoreRecoveryGrant(s RecoveryGrantState) *RecoveryGrant { return &RecoveryGrant{s.clone()} }

// State is storage's way in.
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

// RequireFactors returns ErrRecoveryGrantInvalid if the grant was bought with less than the policy asks for, which may have changed since.
// The operator's word counts under every one.
func (g *RecoveryGrant) RequireFactors(policy RecoveryPolicy) error {
	by := func(f RecoveryFactor) bool { return slices.Contains(g.state.Factors, f) }
	switch {
	case by(FactorOperator),
		policy == RecoveryAny,
		policy == RecoveryBoth && by(FactorTOTP) && by(FactorBackupCode):
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
