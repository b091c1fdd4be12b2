package domain

import (
	"encoding/base64"
	"fmt"
	"io"
	"time"
)

// AccessToken is a signed statement of who holds a session, for services that ask nobody: a JWT (RFC 9068).
type AccessToken struct{ Secret }

// AccessClaims are what an access token states (RFC 9068, section 2.2).
type AccessClaims struct {
	TokenID   string // jti
	Issuer    string
	Audience  []string
	Subject   UserID
	SessionID SessionID // sid
	IssuedAt  time.Time // also nbf; whole seconds
	ExpiresAt time.Time
	AuthTime  time.Time
	AMR       []string
}

// AccessPolicy says what access tokens of this installation look like.
type AccessPolicy struct {
	Issuer string
	// Audience are the services that tokens are for.
	Audience string
	TTL      time.Duration
}

// OwnAudience is for whom a program's own tokens are: the services, and Keylodge itself, whose API they open.
func (p AccessPolicy) OwnAudience() []string {
	if p.Audience == p.Issuer {
		return []string{p.Issuer}
	}
	return []string{p.Audience, p.Issuer}
}

// ServiceAudience is for whom tokens are that a session hands to other services. If Audience differs from Issuer, they
// cannot turn round and use them here.
func (p AccessPolicy) ServiceAudience() []string { return []string{p.Audience} }

// Claims states that the session is held, for the given audience. A token never outlives its session. Times are whole
// seconds, as JWT has them.
func (p AccessPolicy) Claims(s *Session, audience []string, now time.Time, random io.Reader) (AccessClaims, error) {
	var id [16]byte
	if _, err := io.ReadFull(random, id[:]); err != nil {
		return AccessClaims{}, fmt.Errorf("reading randomness: %w", err)
	}
	expires := now.Add(p.TTL)
	if s.EndsAt().Before(expires) {
		expires = s.EndsAt()
	}
	return AccessClaims{
		TokenID: base64.RawURLEncoding.EncodeToString(id[:]), Issuer: p.Issuer, Audience: audience, Subject: s.UserID(), SessionID: s.ID(),
		IssuedAt: now.Truncate(time.Second), ExpiresAt: expires.Truncate(time.Second), AuthTime: s.AuthTime().Truncate(time.Second), AMR: s.AMR(),
	}, nil
}
