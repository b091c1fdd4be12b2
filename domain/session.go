package domain

import (
	"crypto/sha256"
	"encoding/base64"
	"io"
	"slices"
	"strings"
	"time"
)

// Session is a sign-in that lasts. Whoever holds its token is the user, until it ends. A browser's session is carried by
// one token for all its life, a program's by refresh tokens that replace each other.
type Session struct{ state SessionState }

// SessionState is a session's state as storage keeps it.
type SessionState struct {
	ID            SessionID `export:"id"`
	UserID        UserID
	CredentialID  CredentialID `export:"passkey"` // the passkey that opened it
	Transport     Transport    `export:"transport"`
	Token         TokenDigest  `export:"token"`                   // of the session token, or of the latest refresh token
	PreviousToken TokenDigest  `export:"previous_token,omitzero"` // of the refresh token before it; zero before the first refresh
	RotatedAt     time.Time    `export:"rotated_at,omitzero"`     // when the one replaced the other; zero before the first refresh
	Assurance     Assurance    `export:"assurance"`
	AMR           []string     `export:"amr,omitempty"` // authentication methods, RFC 8176
	Device        Device       `export:"device"`
	CreatedAt     time.Time    `export:"created_at"`
	AuthTime      time.Time    `export:"auth_time"` // the latest passkey assertion; no two lie within one second
	LastSeenAt    time.Time    `export:"last_seen_at"`
	IdleEndsAt    time.Time    `export:"idle_ends_at"` // never after ExpiresAt
	ExpiresAt     time.Time    `export:"expires_at"`
	RevokedAt     time.Time    // zero while it was not ended early
}

// Transport is how a session's holder shows that they hold it.
type Transport string

const (
	TransportCookie Transport = "cookie" // a browser, by its session cookie
	TransportBearer Transport = "bearer" // a program, by access tokens (RFC 6750) that refresh tokens renew
)

// Assurance is how strongly a session was opened.
type Assurance string

const (
	AssurancePasskey  Assurance = "passkey"  // a passkey with user verification: the normal way in
	AssuranceRecovery Assurance = "recovery" // a recovery code and a new passkey, until one steps up
)

// SessionLifetime is how long a session lasts: TTL from its start at most, IdleTTL from its last use at most.
type SessionLifetime struct{ TTL, IdleTTL time.Duration }

// SessionToken opens a session: 256 random bits that only the client keeps.
type SessionToken struct{ Secret }

// TokenDigest is what the server keeps of a token. A fast hash is enough, since nobody can guess 256 random bits.
type TokenDigest [sha256.Size]byte

// sessionTokenPrefix lets secret scanners find a leaked token.
const sessionTokenPrefix = "kls_"

// NewSessionToken draws a token.
func NewSessionToken(random io.Reader) SessionToken {
	var raw [32]byte
	readRandom(random, raw[:])
	return SessionToken{NewSecret(sessionTokenPrefix + base64.RawURLEncoding.EncodeToString(raw[:]))}
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

// OpenSession starts the session of a browser whose user has just proved themselves with a passkey. The token is returned
// here and never again.
func OpenSession(by *Credential, device Device, lifetime SessionLifetime, now time.Time, random io.Reader) (*Session, SessionToken) {
	token := NewSessionToken(random)
	s := openSession(by, device, TransportCookie, lifetime, now, random)
	s.state.Token = token.Digest()
	return s, token
}

// OpenBearerSession starts the session of a program instead, with its first refresh token.
func OpenBearerSession(by *Credential, device Device, lifetime SessionLifetime, keys KeyRing[RefreshToken], now time.Time, random io.Reader) (*Session, RefreshToken) {
	s := openSession(by, device, TransportBearer, lifetime, now, random)
	token := newRefreshToken(keys, s.ID(), random)
	s.state.Token = token.Digest()
	return s, token
}

func openSession(by *Credential, device Device, transport Transport, lifetime SessionLifetime, now time.Time, random io.Reader) *Session {
	s := &Session{SessionState{
		ID: NewSessionID(now, random), UserID: by.UserID(), CredentialID: by.ID(), Transport: transport,
		Assurance: AssurancePasskey, AMR: amrOf(by), Device: device,
		CreatedAt: now, AuthTime: now, ExpiresAt: now.Add(lifetime.TTL),
	}}
	s.Touch(lifetime, now)
	return s
}

// NoAuthTime is the AuthTime of a session in which no passkey has been shown.
var NoAuthTime = time.Unix(0, 0).UTC()

// MarkRecovered marks a session that has just been opened as one that was bought by recovery: it looks around and steps up,
// and what is sensitive waits for that. Nobody takes it for one in which a passkey was shown, here or in another service.
func (s *Session) MarkRecovered() {
	s.state.Assurance = AssuranceRecovery
	s.state.AuthTime = NoAuthTime
	s.state.AMR = []string{"otp"} // RFC 8176: a one-time password, from an app, from paper or from the operator
}

// amrOf names how the user authenticated (RFC 8176): the key is in hardware if it cannot leave its device, else in
// software; presence and verification are demanded of every assertion, which makes it multi-factor.
func amrOf(c *Credential) []string {
	if c.BackupEligible() {
		return []string{"swk", "user", "mfa"}
	}
	return []string{"hwk", "user", "mfa"}
}

// RestoreSession is storage's way back from a snapshot.
func RestoreSession(s SessionState) *Session { return &Session{s.clone()} }

// State is storage's way in.
func (s *Session) State() SessionState { return s.state.clone() }

func (s SessionState) clone() SessionState {
	s.AMR = slices.Clone(s.AMR)
	return s
}

func (s *Session) ID() SessionID              { return s.state.ID }
func (s *Session) UserID() UserID             { return s.state.UserID }
func (s *Session) CredentialID() CredentialID { return s.state.CredentialID }
func (s *Session) Transport() Transport       { return s.state.Transport }
func (s *Session) AuthTime() time.Time        { return s.state.AuthTime }
func (s *Session) AMR() []string              { return slices.Clone(s.state.AMR) }
func (s *Session) ExpiresAt() time.Time       { return s.state.ExpiresAt }

// IdleEndsAt is when the session ends if nobody uses it any more.
func (s *Session) IdleEndsAt() time.Time { return s.state.IdleEndsAt }

// Active reports whether the session is neither revoked nor expired.
func (s *Session) Active(now time.Time) bool { return s.RequireActive(now) == nil }

// RequireActive returns ErrSessionRevoked or ErrSessionExpired if the session has ended.
func (s *Session) RequireActive(now time.Time) error {
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

// RecentlySeen reports whether Touch at this time would say nothing new.
func (s *Session) RecentlySeen(now time.Time) bool {
	return now.Sub(s.state.LastSeenAt) < touchInterval
}

// Touch puts off the session's idle end, though never past its absolute one.
func (s *Session) Touch(lifetime SessionLifetime, now time.Time) {
	s.state.LastSeenAt = now
	s.state.IdleEndsAt = now.Add(lifetime.IdleTTL)
	if s.state.IdleEndsAt.After(s.state.ExpiresAt) {
		s.state.IdleEndsAt = s.state.ExpiresAt
	}
}

// RecordIP notes where the session was last used from.
func (s *Session) RecordIP(ip string) {
	if ip != "" {
		s.state.Device.IP = ip
	}
}

// clockLeeway is how far the clocks of two nodes may differ.
const clockLeeway = 30 * time.Second

// SessionSecret is the secret that carries a session: a cookie's token, or a refresh token.
type SessionSecret struct {
	Token        SessionToken // zero in a bearer session
	RefreshToken RefreshToken // zero in a browser's
}

// NewSecret draws another secret for the session, for StepUp to put in the place of the one before.
func (s *Session) NewSecret(keys KeyRing[RefreshToken], random io.Reader) SessionSecret {
	if s.state.Transport == TransportBearer {
		return SessionSecret{RefreshToken: newRefreshToken(keys, s.ID(), random)}
	}
	return SessionSecret{Token: NewSessionToken(random)}
}

func (s *Session) setSecret(c SessionSecret) {
	if s.state.Transport == TransportBearer {
		s.state.Token = c.RefreshToken.Digest()
	} else {
		s.state.Token = c.Token.Digest()
	}
	s.state.PreviousToken, s.state.RotatedAt = TokenDigest{}, time.Time{}
}

// StepUp records that the user has just been verified again by one of their passkeys, and replaces the secret that carries the
// session. A copy of the former cookie opens nothing, and the former refresh token has no successor: to use it is reuse, and
// revokes the session (OWASP ASVS 5.0, 7.2.4). Nothing else renews AuthTime: neither a refresh, which proves possession of a
// token, nor a recovery.
func (s *Session) StepUp(with *Credential, carrier SessionSecret, now time.Time) {
	s.state.AuthTime = s.nextAuthTime(now)
	s.state.AMR = amrOf(with)
	s.state.Assurance = AssurancePasskey
	s.setSecret(carrier)
}

// nextAuthTime returns now, or, since tokens state whole seconds, the next second after an assertion of this very second: two
// assertions are always told apart.
func (s *Session) nextAuthTime(now time.Time) time.Time {
	last := s.state.AuthTime
	if last.Sub(now) <= clockLeeway && !inSeconds(now).After(inSeconds(last)) {
		return inSeconds(last).Add(time.Second)
	}
	return now
}

// inSeconds is a time as tokens state it (NumericDate, RFC 7519, section 2).
func inSeconds(t time.Time) time.Time { return t.Truncate(time.Second) }

// TokenRotatedSince reports whether the token that carried a browser's session when it was read before carries it no longer.
func (s *Session) TokenRotatedSince(before *Session) bool {
	return s.state.Transport == TransportCookie && s.state.Token != before.state.Token
}

// Refresh takes the session's refresh token and returns its successor, and reports whether the session changed by that
// and must be saved: it does so also together with ErrRefreshTokenReused, since the session is revoked then.
//
// The token before the latest one gets that latest one again, for as long as it has not been used: the answer may have been lost. Any
// other that was ever minted for the session means that two parties hold it, and which of them is the user cannot be known. A token that was never minted
// here is ErrRefreshTokenInvalid and changes nothing.
func (s *Session) Refresh(token RefreshToken, keys KeyRing[RefreshToken], lifetime SessionLifetime, now time.Time) (next RefreshToken, changed bool, err error) {
	digest := token.Digest()
	latest, previous := digest == s.state.Token, digest == s.state.PreviousToken
	if token.SessionID() != s.state.ID || !latest && !previous && !token.issuedBy(keys) {
		return RefreshToken{}, false, ErrRefreshTokenInvalid
	}
	if err := s.RequireActive(now); err != nil {
		return RefreshToken{}, false, err
	}
	switch {
	case latest:
		next = token.successor(keys[0])
		s.state.PreviousToken, s.state.Token, s.state.RotatedAt = digest, next.Digest(), now
		s.Touch(lifetime, now)
		return next, true, nil
	case previous:
		next, found := token.successorByDigest(keys, s.state.Token)
		if !found { // the server's secret was replaced meanwhile
			return RefreshToken{}, false, ErrRefreshTokenInvalid
		}
		return next, false, nil
	}
	s.Revoke(now)
	return RefreshToken{}, true, ErrRefreshTokenReused
}

// Revoke ends the session for good. The first end stands.
func (s *Session) Revoke(now time.Time) {
	if s.state.RevokedAt.IsZero() {
		s.state.RevokedAt = now
	}
}
