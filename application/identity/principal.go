package identity

import (
	"context"
	"errors"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Principal is the authenticated caller of a use case.
type Principal struct {
	User        *domain.User
	Session     *domain.Session
	AuthContext domain.AuthContext // of the token that the request presented
	Client      Client
}

// RequirePasskey returns domain.ErrStepUpRequired unless both the session and the presented token stem from a passkey
// assertion.
func (p Principal) RequirePasskey() error { return p.AuthContext.RequirePasskey(p.Session) }

// RequireRecentAuth returns domain.ErrStepUpRequired unless that assertion is more recent than ttl.
func (p Principal) RequireRecentAuth(ttl domain.StepUpTTL, now time.Time) error {
	return p.AuthContext.RequireRecentAuth(p.Session, ttl, now)
}

// ChallengeContext returns the context that a challenge of this principal in the given browser is bound to.
func (p Principal) ChallengeContext(browser domain.Binding) domain.ChallengeContext {
	return domain.ChallengeContext{Browser: browser, SessionID: p.Session.ID()}
}

// Reload reads the user and the session again inside a transaction and fails as authentication would: between the request's
// authentication and this write, another request may have revoked the session, disabled the account, or stepped up and so
// replaced the presented token. It returns domain.ErrSessionRevoked, domain.ErrSessionExpired, domain.ErrUnauthenticated or
// domain.ErrUserDisabled.
func (p Principal) Reload(ctx context.Context, tx ports.Tx, now time.Time) (Principal, error) {
	var err error
	before := p.Session
	if p.Session, p.User, err = tx.Sessions.ByIDWithUser(ctx, p.Session.ID()); errors.Is(err, domain.ErrSessionNotFound) {
		return Principal{}, domain.ErrSessionRevoked
	} else if err != nil {
		return Principal{}, err
	}
	if err := p.Session.RequireActive(now); err != nil {
		return Principal{}, err
	}
	if p.Session.TokenRotatedSince(before) {
		return Principal{}, domain.ErrUnauthenticated
	}
	return p, p.User.RequireEnabled()
}
