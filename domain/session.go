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

// Session is a sign-in that lasts. Whoever holds its token is the user, until it ends.
type Session struct{ state SessionSnapshot }

// SessionSnapshot is a session's state as storage keeps it.
type SessionSnapshot struct {
	ID           SessionID
	UserID       UserID
	CredentialID CredentialID // the passkey that opened it
	Token        TokenDigest
	Assurance    Assurance
	AMR          []string // authentication methods, RFC 8176
	Device       Device
	CreatedAt    time.Time
	AuthTime     time.Time // the last passkey assertion
	LastSeenAt   time.Time
	IdleEndsAt   time.Time // never after ExpiresAt
	ExpiresAt    time.Time
	RevokedAt    time.Time // zero while it was not ended early
}

// Assurance is how strongly a session was opened.
type Assurance string

// AssurancePasskey is a passkey with user verification: the normal way in.
const AssurancePasskey Assurance = "passkey"

// SessionLifetime is how long a session lasts: TTL from its start at most, IdleTTL from its last use at most.
type SessionLifetime struct{ TTL, IdleTTL time.Duration }

// SessionToken opens a session: 256 random bits that only the client keeps.
type SessionToken struct{ Secret }

// TokenDigest is what the server keeps of a token. A fast hash is enough, since nobody can guess 256 random bits.
type TokenDigest [sha256.Size]byte

// sessionTokenPrefix lets secret scanners find a leaked token.
const sessionTokenPrefix = "kls_"

func newSessionToken(random io.Reader) (SessionToken, error) {
	var raw [32]byte
	if _, err := io.ReadFull(random, raw[:]); err != nil {
		return SessionToken{}, fmt.Errorf("reading randomness: %w", err)
	}
	return SessionToken{NewSecret(sessionTokenPrefix + base64.RawURLEncoding.EncodeToString(raw[:]))}, nil
}

// ParseSessionToken takes a token as a client sent it. Anything that was never minted here is ErrUnauthenticated.
func ParseSessionToken(s string) (SessionToken, error) {
	encoded, found := strings.CutPrefix(s, sessionTokenPrefix)
	if !found || len(encoded) != base64.RawURLEncoding.EncodedLen(32) {
		return SessionToken{}, ErrUnauthenticated
	}
	return SessionToken{NewSecret(s)}, nil
}

func (t SessionToken) Digest() TokenDigest { return sha256.Sum256([]byte(t.Reveal())) }

// OpenSession starts the session of a user who has just proved themselves with a passkey. The token is returned here
// and never again.
func OpenSession(by *Credential, device Device, lifetime SessionLifetime, now time.Time, random io.Reader) (*Session, SessionToken, error) {
	id, err := NewSessionID(now, random)
	if err != nil {
		return nil, SessionToken{}, err
	}
	token, err := newSessionToken(random)
	if err != nil {
		return nil, SessionToken{}, err
	}
	s := &Session{SessionSnapshot{
		ID: id, UserID: by.UserID(), CredentialID: by.ID(), Token: token.Digest(),
		Assurance: AssurancePasskey, AMR: methods(by), Device: device,
		CreatedAt: now, AuthTime: now, ExpiresAt: now.Add(lifetime.TTL),
	}}
	s.Touch(lifetime, now)
	return s, token, nil
}

// methods names how the user authenticated (RFC 8176): the key is in hardware if it cannot leave its device, else in
// software; presence and verification are demanded of every assertion, which makes it multi-factor.
func methods(c *Credential) []string {
	if c.BackupEligible() {
		return []string{"swk", "user", "mfa"}
	}
	return []string{"hwk", "user", "mfa"}
}

// RestoreSession is storage's way back from a snapshot.
func RestoreSession(s SessionSnapshot) *Session { return &Session{s.clone()} }

// Snapshot is storage's way in.
func (s *Session) Snapshot() SessionSnapshot { return s.state.clone() }

func (s SessionSnapshot) clone() SessionSnapshot {
	s.AMR = slices.Clone(s.AMR)
	return s
}

func (s *Session) ID() SessionID              { return s.state.ID }
func (s *Session) UserID() UserID             { return s.state.UserID }
func (s *Session) CredentialID() CredentialID { return s.state.CredentialID }

// Usable returns nil while the session lasts, else ErrSessionRevoked or ErrSessionExpired.
func (s *Session) Usable(now time.Time) error {
	switch {
	case !s.state.RevokedAt.IsZero():
		return ErrSessionRevoked
	case !now.Before(s.state.IdleEndsAt), !now.Before(s.state.ExpiresAt):
		return ErrSessionExpired
	}
	return nil
}

// touchInterval spares the disk: a session's last use is known to the minute.
const touchInterval = time.Minute

// SeenLately reports whether Touch at this time would say nothing new.
func (s *Session) SeenLately(now time.Time) bool { return now.Sub(s.state.LastSeenAt) < touchInterval }

// Touch puts off the session's idle end, though never past its absolute one.
func (s *Session) Touch(lifetime SessionLifetime, now time.Time) {
	s.state.LastSeenAt = now
	s.state.IdleEndsAt = now.Add(lifetime.IdleTTL)
	if s.state.IdleEndsAt.After(s.state.ExpiresAt) {
		s.state.IdleEndsAt = s.state.ExpiresAt
	}
}

// Revoke ends the session for good. The first end stands.
func (s *Session) Revoke(now time.Time) {
	if s.state.RevokedAt.IsZero() {
		s.state.RevokedAt = now
	}
}
