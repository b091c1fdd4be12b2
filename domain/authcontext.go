package domain

import (
	"slices"
	"time"
)

// AuthContext is what a request presented to act in a session, with the passkey assertion that it stems from. How recent and
// how strong an authentication is, is a property of the proof and not of the session: a token that was issued before a step-up,
// and may have been copied, stays as old as it is (OpenID Connect Core, section 2, auth_time; OWASP ASVS 5.0, 7.2.4).
type AuthContext struct {
	Kind      TokenKind
	AuthTime  time.Time // of the session when the proof was issued
	AMR       []string  // likewise
	ExpiresAt time.Time // zero for a cookie, which ends with its session
}

// AuthContext returns the proof of a request that presents the session's current cookie.
func (s *Session) AuthContext() AuthContext {
	return AuthContext{Kind: TokenSessionCookie, AuthTime: s.AuthTime(), AMR: s.AMR()}
}

// AuthContext returns the proof of a request that presents the access token with these claims.
func (c AccessClaims) AuthContext() AuthContext {
	return AuthContext{Kind: TokenAccess, AuthTime: c.AuthTime, AMR: slices.Clone(c.AMR), ExpiresAt: c.ExpiresAt}
}

// RequirePasskey returns ErrStepUpRequired in a session that was opened by recovery until its owner has stepped up, and for
// every proof that was issued before the session's latest assertion.
func (p AuthContext) RequirePasskey(s *Session) error {
	if s.state.Assurance != AssurancePasskey || !inSeconds(p.AuthTime).Equal(inSeconds(s.state.AuthTime)) {
		return ErrStepUpRequired
	}
	return nil
}

// RequireRecentAuth returns ErrStepUpRequired unless the proof permits sensitive changes, is as new as the session's latest
// passkey assertion, and that assertion lies within ttl before now. One that lies ahead of now by more than clockLeeway, because
// a clock was wrong, is not recent.
func (p AuthContext) RequireRecentAuth(s *Session, ttl StepUpTTL, now time.Time) error {
	age := now.Sub(s.state.AuthTime)
	if !p.Kind.Permits(UseSensitive) || age > time.Duration(ttl) || age < -clockLeeway {
		return ErrStepUpRequired
	}
	return p.RequirePasskey(s)
}
