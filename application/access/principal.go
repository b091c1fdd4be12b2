package access

import (
	"context"
	"errors"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Principal is somebody who is signed in and wants something done.
type Principal struct {
	User        *domain.User
	Session     *domain.Session
	AuthContext domain.AuthContext // of the session, as the request presented it
	Client      Client
}

// RequirePasskey returns domain.ErrStepUpRequired unless the session, and the proof of it, stem from a passkey assertion.
func (a Principal) RequirePasskey() error { return a.AuthContext.RequirePasskey(a.Session) }

// RequireRecentAuth returns domain.ErrStepUpRequired unless that assertion is recent enough for what is sensitive.
func (a Principal) RequireRecentAuth(ttl domain.StepUpTTL, now time.Time) error {
	return a.AuthContext.RequireRecentAuth(a.Session, ttl, now)
}

// ChallengeContext is the actor as one who answers a ceremony in the given browser.
func (a Principal) ChallengeContext(browser domain.Binding) domain.ChallengeContext {
	return domain.ChallengeContext{Browser: browser, SessionID: a.Session.ID()}
}

// Reload reads the actor's account and session again inside a unit of work, and fails as Authenticate would: between the
// look that let them in and the write that they want, somebody may have ended the session, shut the account, or stepped up and
// left them with a token that opens nothing any more.
func (a Principal) Reload(ctx context.Context, tx ports.Tx, now time.Time) (Principal, error) {
	var err error
	asTheyCame := a.Session
	if a.Session, err = tx.Sessions.ByID(ctx, a.Session.ID()); errors.Is(err, domain.ErrSessionNotFound) {
		return Principal{}, domain.ErrSessionRevoked
	} else if err != nil {
		return Principal{}, err
	}
	if err := a.Session.RequireActive(now); err != nil {
		return Principal{}, err
	}
	if a.Session.TokenRotatedSince(asTheyCame) {
		return Principal{}, domain.ErrUnauthenticated
	}
	if a.User, err = tx.Users.ByID(ctx, a.Session.UserID()); err != nil {
		return Principal{}, err
	}
	return a, a.User.RequireEnabled()
}
