package domain

import (
	"encoding/base64"
	"io"
	"time"
)

// AccessToken is a signed statement about a session: a JWT (RFC 9068), which a service verifies without a request to Keylodge.
type AccessToken struct{ Secret }

// AccessClaims are the claims of an access token (RFC 9068, section 2.2).
type AccessClaims struct {
	TokenID   string // jti
	Issuer    string
	Audience  []string
	ClientID  string // FirstPartyClient
	Subject   UserID
	SessionID SessionID // sid
	IssuedAt  time.Time // set back by clockLeeway; whole seconds
	ExpiresAt time.Time
	AuthTime  time.Time
	AMR       []string
	Scope     []string // ScopeAccount, or none
}

// ScopeAccount is the scope of access tokens for Keylodge's own API. A token without it is for other services, even if
// no audience for them is configured and both kinds have the same audience (RFC 9068, section 2.2.3).
const ScopeAccount = "account"

// FirstPartyClient is the client_id of every token (RFC 9068, section 2.2): Keylodge's own API opens all sessions, and there are
// no registered OAuth clients.
const FirstPartyClient = "keylodge"

// AccessPolicy is the issuer, audience and lifetime of access tokens.
type AccessPolicy struct {
	Issuer   string
	Audience string // of tokens for other services
	TTL      time.Duration
}

// AccessClaims returns the claims of a bearer session's access token, for Keylodge's own API and for other services.
func (p AccessPolicy) AccessClaims(s *Session, now time.Time, random io.Reader) AccessClaims {
	audience := []string{p.Audience, p.Issuer}
	if p.Audience == p.Issuer {
		audience = audience[:1]
	}
	return p.claims(s, s.AuthContext(), audience, []string{ScopeAccount}, now, random)
}

// ServiceClaims returns the claims of a token for other services, which Keylodge itself does not accept. The token states the
// authentication of the request, and does not outlive the proof that the request carried. It returns ErrUnauthenticated if that
// proof does not permit it.
func (p AccessPolicy) ServiceClaims(s *Session, auth AuthContext, now time.Time, random io.Reader) (AccessClaims, error) {
	if !auth.Kind.Permits(UseIssue) {
		return AccessClaims{}, ErrUnauthenticated
	}
	return p.claims(s, auth, []string{p.Audience}, nil, now, random), nil
}

// claims returns claims that expire with the session or with the proof at the latest. Times are whole seconds, as in JWT. The time
// of issue is set back by clockLeeway, because libraries of other services reject a token issued in the future.
func (p AccessPolicy) claims(s *Session, auth AuthContext, audience, scope []string, now time.Time, random io.Reader) AccessClaims {
	var id [16]byte
	readRandom(random, id[:])
	expires := now.Add(p.TTL)
	for _, end := range []time.Time{s.IdleEndsAt(), auth.ExpiresAt} {
		if !end.IsZero() && end.Before(expires) {
			expires = end
		}
	}
	return AccessClaims{
		TokenID: base64.RawURLEncoding.EncodeToString(id[:]), Issuer: p.Issuer, Audience: audience, ClientID: FirstPartyClient, Subject: s.UserID(), SessionID: s.ID(),
		IssuedAt: inSeconds(now.Add(-clockLeeway)), ExpiresAt: inSeconds(expires), AuthTime: inSeconds(auth.AuthTime), AMR: auth.AMR, Scope: scope,
	}
}
