package domain

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Grant is what recovery buys: the right to enrol one passkey, and nothing else. It is no session and opens none.
type Grant struct{ state GrantSnapshot }

// GrantSnapshot is a grant's state as storage keeps it. A user has one at a time.
type GrantSnapshot struct {
	UserID    UserID
	Token     TokenDigest
	Nonce     []byte     // what the token was made from, together with a key of the server's
	Code      CodeDigest // the backup code that paid for it, to be spent with it; zero if none did
	By        []RecoveryFactor
	CreatedAt time.Time
	ExpiresAt time.Time
}

// RecoveryFactor is what somebody recovers with.
type RecoveryFactor string

const (
	ByTOTP       RecoveryFactor = "totp"
	ByBackupCode RecoveryFactor = "backup_code"
	ByTheirWord  RecoveryFactor = "operator" // who knows them
)

// GrantToken shows that one holds a grant.
type GrantToken struct{ Secret }

// GrantKeys make grant tokens: the first one makes, all recognise.
type GrantKeys [][]byte

const (
	grantTTL         = 10 * time.Minute
	operatorGrantTTL = 15 * time.Minute
	grantTokenPrefix = "klg_" // lets secret scanners find a leaked token
	grantNonceLength = 32
)

// NewGrant opens the way to one enrolment, paid by the given factors. Code is that of the backup code, if one paid.
func NewGrant(owner UserID, by []RecoveryFactor, code CodeDigest, keys GrantKeys, now time.Time, random io.Reader) (*Grant, GrantToken, error) {
	nonce := make([]byte, grantNonceLength)
	if _, err := io.ReadFull(random, nonce); err != nil {
		return nil, GrantToken{}, fmt.Errorf("reading randomness: %w", err)
	}
	ttl := grantTTL
	if slices.Contains(by, ByTheirWord) {
		ttl = operatorGrantTTL
	}
	g := &Grant{GrantSnapshot{UserID: owner, Nonce: nonce, Code: code, By: slices.Clone(by), CreatedAt: now, ExpiresAt: now.Add(ttl)}}
	token := g.tokenUnder(keys[0])
	g.state.Token = token.Digest()
	return g, token, nil
}

// TokenAgain makes the grant's token again, for whoever pays with the same backup code because the answer was lost. It returns
// false if the server's secret was replaced meanwhile.
func (g *Grant) TokenAgain(keys GrantKeys) (GrantToken, bool) {
	for _, key := range keys {
		if token := g.tokenUnder(key); token.Digest() == g.state.Token {
			return token, true
		}
	}
	return GrantToken{}, false
}

func (g *Grant) tokenUnder(key []byte) GrantToken {
	return GrantToken{NewSecret(grantTokenPrefix + base64.RawURLEncoding.EncodeToString(keyed(key, "grant", slices.Concat(g.state.UserID.uuid[:], g.state.Nonce))))}
}

// ParseGrantToken takes a token as a client sent it. Since people copy it from links, white space, invisible characters and full-width
// forms are read as plainCode reads them; hyphens and case count. It returns ErrInvalidGrant for anything that was never made here.
func ParseGrantToken(s string) (GrantToken, error) {
	s = foldCode(s, func(rune) bool { return false })
	encoded, found := strings.CutPrefix(s, grantTokenPrefix)
	if !found || len(encoded) != base64.RawURLEncoding.EncodedLen(sha256.Size) {
		return GrantToken{}, ErrInvalidGrant
	}
	return GrantToken{NewSecret(s)}, nil
}

func (t GrantToken) Digest() TokenDigest { return sha256.Sum256([]byte(t.Reveal())) }

// RestoreGrant is storage's way back from a snapshot.
func RestoreGrant(s GrantSnapshot) *Grant { return &Grant{s.clone()} }

// Snapshot is storage's way in.
func (g *Grant) Snapshot() GrantSnapshot { return g.state.clone() }

func (s GrantSnapshot) clone() GrantSnapshot {
	s.Nonce, s.By = slices.Clone(s.Nonce), slices.Clone(s.By)
	return s
}

func (g *Grant) UserID() UserID       { return g.state.UserID }
func (g *Grant) Code() CodeDigest     { return g.state.Code }
func (g *Grant) ExpiresAt() time.Time { return g.state.ExpiresAt }
func (g *Grant) By() []RecoveryFactor { return slices.Clone(g.state.By) }
func (g *Grant) CreatedAt() time.Time { return g.state.CreatedAt }

// PaidFor returns ErrInvalidGrant if the grant was bought with less than the policy asks for, which may have changed since.
// The operator's word counts under every one.
func (g *Grant) PaidFor(policy RecoveryPolicy) error {
	by := func(f RecoveryFactor) bool { return slices.Contains(g.state.By, f) }
	switch {
	case by(ByTheirWord),
		policy == RecoveryAny,
		policy == RecoveryBoth && by(ByTOTP) && by(ByBackupCode):
		return nil
	}
	return ErrInvalidGrant
}

// Usable returns ErrInvalidGrant once the grant's time is over.
func (g *Grant) Usable(now time.Time) error {
	if !now.Before(g.state.ExpiresAt) {
		return ErrInvalidGrant
	}
	return nil
}
