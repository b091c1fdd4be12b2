package access

import (
	"context"
	"errors"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Actor is somebody who is signed in and wants something done.
type Actor struct {
	User    *domain.User
	Session *domain.Session
	Proof   domain.SessionProof // of the session, as the request presented it
	Visitor Visitor
}

// RequirePasskey returns domain.ErrStepUpRequired unless the session, and the proof of it, stem from a passkey assertion.
func (a Actor) RequirePasskey() error { return a.Proof.RequirePasskey(a.Session) }

// RequireRecentAuth returns domain.ErrStepUpRequired unless that assertion is recent enough for what is sensitive.
func (a Actor) RequireRecentAuth(ttl domain.StepUpTTL, now time.Time) error {
	return a.Proof.RequireRecentAuth(a.Session, ttl, now)
}

// Respondent is the actor as one who answers a ceremony in the given browser.
func (a Actor) Respondent(browser domain.Binding) domain.Respondent {
	return domain.Respondent{Browser: browser, Session: a.Session.ID()}
}

// Confirm reads the actor's account and session again inside a unit of work, and fails as Authenticate would: between the
// look that let them in and the write that they want, somebody may have ended the session, shut the account, or stepped up and
// left them with a token that opens nothing any more.
func (a Actor) Confirm(ctx context.Context, tx ports.Tx, now time.Time) (Actor, error) {
	var err error
	asTheyCame := a.Session
	if a.Session, err = tx.Sessions.ByID(ctx, a.Session.ID()); errors.Is(err, domain.ErrSessionNotFound) {
		return Actor{}, domain.ErrSessionRevoked
	} else if err != nil {
		return Actor{}, err
	}
	if err := a.Session.Usable(now); err != nil {
		return Actor{}, err
	}
	if a.Session.RenewedSince(asTheyCame) {
		return Actor{}, domain.ErrUnauthenticated
	}
	if a.User, err = tx.Users.ByID(ctx, a.Session.UserID()); err != nil {
		return Actor{}, err
	}
	return a, a.User.Enabled()
}
