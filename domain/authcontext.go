package domain

import (
	"slices"
	"time"
)

// AuthContext is the proof that a request carried, with the time and the methods of the authentication behind it. Age and
// strength of an authentication belong to the proof, not to the session: a token issued before a step-up, which may have been
// copied, does not become recent by the step-up (OpenID Connect Core, section 2, auth_time; OWASP ASVS 5.0, 7.2.4).
type AuthContext struct {
	Kind      TokenKind
	AuthTime  time.Time // of the session, when the proof was issued
	AMR       []string  // of the session, when the proof was issued
	ExpiresAt time.Time // zero for a cookie, which expires with its session
}

// AuthContext returns the proof of a request that presents the session's current cookie.
func (s *Session) AuthContext() AuthContext {
	return AuthContext{Kind: TokenSessionCookie, AuthTime: s.AuthTime(), AMR: s.AMR()}
}

// AuthContext returns the proof of a request that presents the access token with these claims.
func (c AccessClaims) AuthContext() AuthContext {
	return AuthContext{Kind: TokenAccess, AuthTime: c.AuthTime, AMR: slices.Clone(c.AMR), ExpiresAt: c.ExpiresAt}
}

// RequirePasskey returns ErrStepUpRequired in a session opened by recovery until the user steps up, and for every proof issued
// before the session's latest assertion.
func (p AuthContext) RequirePasskey(s *Session) error {
	if s.state.Assurance != AssurancePasskey || !inSeconds(p.AuthTime).Equal(inSeconds(s.state.AuthTime)) {
		return ErrStepUpRequired
	}
	return nil
}

// RequireRecentAuth returns ErrStepUpRequired unless the proof permits sensitive changes, was issued with the session's latest
// passkey assertion, and that assertion is not older than ttl. An assertion more than clockLeeway in the future, which a wrong
// clock causes, is not recent.
func (p AuthContext) RequireRecentAuth(s *Session, ttl StepUpTTL, now time.Time) error {
	age := now.Sub(s.state.AuthTime)
	if !p.Kind.Permits(UseSensitive) || age > time.Duration(ttl) || age < -clockLeeway {
		return ErrStepUpRequired
	}
	return p.RequirePasskey(s)
}
