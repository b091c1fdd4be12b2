package domain

import (
	"encoding/base64"
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
	ClientID  string // FirstPartyClient
	Subject   UserID
	SessionID SessionID // sid
	IssuedAt  time.Time // clockLeeway ago; whole seconds
	ExpiresAt time.Time
	AuthTime  time.Time
	AMR       []string
	Scope     []string // ScopeAccount, or none
}

// ScopeAccount is the scope of access tokens that are for Keylodge's own API. Without it a token is for other services, also where
// no audience for them is configured and the two kinds have the same audience (RFC 9068, section 2.2.3).
const ScopeAccount = "account"

// FirstPartyClient is the client_id of every token (RFC 9068, section 2.2): sessions are opened by Keylodge's own API, not by an OAuth
// client that was registered.
const FirstPartyClient = "keylodge"

// AccessPolicy says what access tokens of this installation look like.
type AccessPolicy struct {
	Issuer string
	// Audience are the services that tokens are for.
	Audience string
	TTL      time.Duration
}

// AccessClaims returns the claims of an access token of a bearer session: for Keylodge's own API, and for other services.
func (p AccessPolicy) AccessClaims(s *Session, now time.Time, random io.Reader) AccessClaims {
	audience := []string{p.Audience, p.Issuer}
	if p.Audience == p.Issuer {
		audience = audience[:1]
	}
	return p.claims(s, s.AuthContext(), audience, []string{ScopeAccount}, now, random)
}

// ServiceClaims returns the claims of a token for other services, which Keylodge itself does not accept. It states the
// authentication of the proof that requested it, and does not outlive that proof. It fails with ErrUnauthenticated if the proof
// does not permit it.
func (p AccessPolicy) ServiceClaims(s *Session, requested AuthContext, now time.Time, random io.Reader) (AccessClaims, error) {
	if !requested.Kind.Permits(UseIssue) {
		return AccessClaims{}, ErrUnauthenticated
	}
	return p.claims(s, requested, []string{p.Audience}, nil, now, random), nil
}

// claims never outlive the session. Times are whole seconds, as JWT has them. The time of issue is set back by clockLeeway, since
// other services' libraries refuse a token that their clock has not reached.
func (p AccessPolicy) claims(s *Session, as AuthContext, audience, scope []string, now time.Time, random io.Reader) AccessClaims {
	var id [16]byte
	readRandom(random, id[:])
	expires := now.Add(p.TTL)
	for _, end := range []time.Time{s.IdleEndsAt(), as.ExpiresAt} {
		if !end.IsZero() && end.Before(expires) {
			expires = end
		}
	}
	return AccessClaims{
		TokenID: base64.RawURLEncoding.EncodeToString(id[:]), Issuer: p.Issuer, Audience: audience, ClientID: FirstPartyClient, Subject: s.UserID(), SessionID: s.ID(),
		IssuedAt: inSeconds(now.Add(-clockLeeway)), ExpiresAt: inSeconds(expires), AuthTime: inSeconds(as.AuthTime), AMR: as.AMR, Scope: scope,
	}
}
