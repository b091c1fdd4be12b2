package domain

import (
	"crypto/sha256"
	"encoding/base64"
	"io"
	"slices"
	"strings"
	"time"
)

// Session is a sign-in that lasts. Its token authenticates the user until it ends. A browser presents a session token, which a
// step-up replaces; an app presents refresh tokens, each of which replaces the one before.
type Session struct{ state SessionState }

// SessionState is the state of a session as it is stored.
type SessionState struct {
	ID            SessionID `export:"id"`
	UserID        UserID
	CredentialID  CredentialID `export:"passkey"` // of the sign-in
	Transport     Transport    `export:"transport"`
	Token         TokenDigest  `export:"token"`                   // of the session token or the latest refresh token
	PreviousToken TokenDigest  `export:"previous_token,omitzero"` // of the refresh token before the latest; zero before the first refresh
	RotatedAt     time.Time    `export:"rotated_at,omitzero"`     // of the latest refresh; zero before the first
	Assurance     Assurance    `export:"assurance"`
	AMR           []string     `export:"amr,omitempty"` // authentication methods (RFC 8176)
	Device        Device       `export:"device"`
	CreatedAt     time.Time    `export:"created_at"`
	AuthTime      time.Time    `export:"auth_time"` // of the latest passkey assertion; two assertions never have the same second
	LastSeenAt    time.Time    `export:"last_seen_at"`
	IdleEndsAt    time.Time    `export:"idle_ends_at"` // never after ExpiresAt
	ExpiresAt     time.Time    `export:"expires_at"`
	RevokedAt     time.Time    // zero if not revoked
}

// Transport is how a client presents a session.
type Transport string

const (
	TransportCookie Transport = "cookie" // by the session cookie of a browser
	TransportBearer Transport = "bearer" // by access tokens (RFC 6750), which refresh tokens renew
)

// Assurance is how strongly a session was opened.
type Assurance string

const (
	AssurancePasskey  Assurance = "passkey"  // with a passkey and user verification
	AssuranceRecovery Assurance = "recovery" // with a recovery factor and a new passkey, until the user steps up
)

// SessionLifetime is the lifetime of sessions: at most TTL from their start, and at most IdleTTL from their last use.
type SessionLifetime struct{ TTL, IdleTTL time.Duration }

// SessionToken is the secret of a browser's session: 256 random bits, which the server does not store.
type SessionToken struct{ Secret }

// TokenDigest is the stored form of a token. A fast hash suffices, since 256 random bits cannot be guessed.
type TokenDigest [sha256.Size]byte

// sessionTokenPrefix lets secret scanners find a leaked token.
const sessionTokenPrefix = "kls_"

// NewSessionToken returns a new token.
func NewSessionToken(random io.Reader) SessionToken {
	var raw [32]byte
	readRandom(random, raw[:])
	return SessionToken{NewSecret(sessionTokenPrefix + base64.RawURLEncoding.EncodeToString(raw[:]))}
}

// ParseSessionToken parses a token. It returns ErrUnauthenticated for a malformed one.
func ParseSessionToken(s string) (SessionToken, error) {
	encoded, found := strings.CutPrefix(s, sessionTokenPrefix)
	if !found || len(encoded) != base64.RawURLEncoding.EncodedLen(32) {
		return SessionToken{}, ErrUnauthenticated
	}
	return SessionToken{NewSecret(s)}, nil
}

func (t SessionToken) Digest() TokenDigest { return sha256.Sum256([]byte(t.Reveal())) }

// OpenSession returns a new session of a browser for the owner of the passkey, which was just verified, and its token.
func OpenSession(passkey *Credential, device Device, lifetime SessionLifetime, now time.Time, random io.Reader) (*Session, SessionToken) {
	token := NewSessionToken(random)
	s := openSession(passkey, device, TransportCookie, lifetime, now, random)
	s.state.Token = token.Digest()
	return s, token
}

// OpenBearerSession is OpenSession for an app. It returns the first refresh token.
func OpenBearerSession(passkey *Credential, device Device, lifetime SessionLifetime, keys KeyRing[RefreshToken], now time.Time, random io.Reader) (*Session, RefreshToken) {
	s := openSession(passkey, device, TransportBearer, lifetime, now, random)
	token := newRefreshToken(keys, s.ID(), random)
	s.state.Token = token.Digest()
	return s, token
}

func openSession(passkey *Credential, device Device, transport Transport, lifetime SessionLifetime, now time.Time, random io.Reader) *Session {
	s := &Session{SessionState{
		ID: NewSessionID(now, random), UserID: passkey.UserID(), CredentialID: passkey.ID(), Transport: transport,
		Assurance: AssurancePasskey, AMR: amrOf(passkey), Device: device,
		CreatedAt: now, AuthTime: now, ExpiresAt: now.Add(lifetime.TTL),
	}}
	s.Touch(lifetime, now)
	return s
}

// Continue returns a session of an application that continues s: it has the same user, passkey and authentication, and expires with s
// at the latest. It is not s: signing out of one does not end the other. It returns the first refresh token.
func (s *Session) Continue(device Device, lifetime SessionLifetime, keys KeyRing[RefreshToken], now time.Time, random io.Reader) (*Session, RefreshToken) {
	from := s.State()
	continued := &Session{SessionState{
		ID: NewSessionID(now, random), UserID: from.UserID, CredentialID: from.CredentialID, Transport: TransportBearer,
		Assurance: from.Assurance, AMR: from.AMR, Device: device, CreatedAt: now, AuthTime: from.AuthTime, ExpiresAt: from.ExpiresAt,
	}}
	continued.Touch(lifetime, now)
	token := newRefreshToken(keys, continued.ID(), random)
	continued.state.Token = token.Digest()
	return continued, token
}

// NoAuthTime is the AuthTime of a session without a passkey assertion.
var NoAuthTime = time.Unix(0, 0).UTC()

// MarkRecovered marks a new session as opened by recovery: sensitive actions require a step-up first, and its tokens state no
// passkey assertion to other services.
func (s *Session) MarkRecovered() {
	s.state.Assurance = AssuranceRecovery
	s.state.AuthTime = NoAuthTime
	s.state.AMR = []string{"otp"} // RFC 8176: a one-time password
}

// amrOf returns the authentication methods of a passkey assertion (RFC 8176): hwk for a device-bound key, else swk; user, and mfa,
// since every assertion has user presence and user verification.
func amrOf(c *Credential) []string {
	if c.BackupEligible() {
		return []string{"swk", "user", "mfa"}
	}
	return []string{"hwk", "user", "mfa"}
}

// RestoreSession returns the session with the given state.
func RestoreSession(s SessionState) *Session { return &Session{s.clone()} }

// State returns a copy of the state, for storage.
func (s *Session) State() SessionState { return s.state.clone() }

// Clone returns a copy. It shares AMR, whose elements never change.
func (s *Session) Clone() *Session {
	clone := *s
	return &clone
}

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

// IdleEndsAt returns the time when the session expires if it is not used again.
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

// touchInterval is the precision of a session's last use. It limits the number of writes.
const touchInterval = time.Minute

// RecentlySeen reports whether the stored last use is less than touchInterval ago, so that Touch is not needed.
func (s *Session) RecentlySeen(now time.Time) bool {
	return now.Sub(s.state.LastSeenAt) < touchInterval
}

// Touch records a use of the session and extends its idle time, up to ExpiresAt.
func (s *Session) Touch(lifetime SessionLifetime, now time.Time) {
	s.state.LastSeenAt = now
	s.state.IdleEndsAt = now.Add(lifetime.IdleTTL)
	if s.state.IdleEndsAt.After(s.state.ExpiresAt) {
		s.state.IdleEndsAt = s.state.ExpiresAt
	}
}

// RecordIP records the IP address of the latest use, if it is known.
func (s *Session) RecordIP(ip string) {
	if ip != "" {
		s.state.Device.IP = ip
	}
}

// clockLeeway is how much the clocks of two nodes may differ.
const clockLeeway = 30 * time.Second

// SessionSecret is the secret of a session: a session token or a refresh token.
type SessionSecret struct {
	Token        SessionToken // zero in a bearer session
	RefreshToken RefreshToken // zero in a browser's session
}

// NewSecret returns a new secret for the session, for StepUp.
func (s *Session) NewSecret(keys KeyRing[RefreshToken], random io.Reader) SessionSecret {
	if s.state.Transport == TransportBearer {
		return SessionSecret{RefreshToken: newRefreshToken(keys, s.ID(), random)}
	}
	return SessionSecret{Token: NewSessionToken(random)}
}

func (s *Session) setSecret(secret SessionSecret) {
	if s.state.Transport == TransportBearer {
		s.state.Token = secret.RefreshToken.Digest()
	} else {
		s.state.Token = secret.Token.Digest()
	}
	s.state.PreviousToken, s.state.RotatedAt = TokenDigest{}, time.Time{}
}

// StepUp records a verified assertion of one of the user's passkeys, and replaces the session's secret. A copy of the previous cookie
// is invalid afterwards, and the use of the previous refresh token is a reuse that revokes the session (OWASP ASVS 5.0, 7.2.4).
// Only StepUp renews AuthTime: a refresh proves the possession of a token only, and a recovery proves no passkey.
func (s *Session) StepUp(passkey *Credential, secret SessionSecret, now time.Time) {
	s.state.AuthTime = s.nextAuthTime(now)
	s.state.AMR = amrOf(passkey)
	s.state.Assurance = AssurancePasskey
	s.setSecret(secret)
}

// nextAuthTime returns now, or the second after the latest assertion if it is of the same second: tokens state whole seconds, and the
// proofs of two assertions must differ.
func (s *Session) nextAuthTime(now time.Time) time.Time {
	last := s.state.AuthTime
	if last.Sub(now) <= clockLeeway && !inSeconds(now).After(inSeconds(last)) {
		return inSeconds(last).Add(time.Second)
	}
	return now
}

// inSeconds returns the time as tokens state it (NumericDate, RFC 7519, section 2).
func inSeconds(t time.Time) time.Time { return t.Truncate(time.Second) }

// TokenRotatedSince reports whether the token of a browser's session was replaced after before was read.
func (s *Session) TokenRotatedSince(before *Session) bool {
	return s.state.Transport == TransportCookie && s.state.Token != before.state.Token
}

// Refresh exchanges a refresh token of the session for its successor. The caller saves the session if changed is true, also if err is
// not nil.
//
// The latest token yields a new one. The token before it yields the latest one again while that is unused, since the response may
// have been lost. Any earlier token was used before, so that two parties have it: Refresh revokes the session and returns
// ErrRefreshTokenReused. It returns ErrRefreshTokenInvalid for a token that was not issued for the session, and the errors of
// RequireActive.
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
		if !found { // the key was removed
			return RefreshToken{}, false, ErrRefreshTokenInvalid
		}
		return next, false, nil
	}
	s.Revoke(now)
	return RefreshToken{}, true, ErrRefreshTokenReused
}

// Revoke ends the session. A later call does not change the time.
func (s *Session) Revoke(now time.Time) {
	if s.state.RevokedAt.IsZero() {
		s.state.RevokedAt = now
	}
}
