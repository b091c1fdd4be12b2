// Package sessions is what holders of a session do with it.
package sessions

import (
	"context"
	"errors"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/signingkeys"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Authenticate tells who holds a session.
type Authenticate struct {
	Store    ports.Store
	Clock    ports.Clock
	Issuer   *signingkeys.Issuer
	LastSeen *LastSeen
	Lifetime domain.SessionLifetime
}

// PresentedToken is how a caller shows that they hold a session: one of the two.
type PresentedToken struct {
	SessionToken domain.SessionToken // of a browser
	AccessToken  string              // a program's access token, as it was sent
}

// Execute puts off the session's idle end, which is written down later. It fails with domain.ErrUnauthenticated,
// domain.ErrAccessTokenInvalid, domain.ErrAccessTokenExpired, domain.ErrSessionExpired, domain.ErrSessionRevoked or
// domain.ErrUserDisabled. An access token is not believed alone: its session is looked up, so that it is worth nothing
// from the moment the session ends.
func (a *Authenticate) Execute(ctx context.Context, proof PresentedToken, visitor identity.Client) (identity.Principal, error) {
	now := a.Clock.Now()
	var claims domain.AccessClaims
	var err error
	if proof.AccessToken != "" {
		if claims, err = a.Issuer.Verify(ctx, proof.AccessToken, now); err != nil {
			return identity.Principal{}, err
		}
	}
	actor := identity.Principal{Client: visitor}
	err = a.Store.View(ctx, func(tx ports.Tx) (err error) {
		if proof.AccessToken != "" {
			actor.Session, err = sessionOf(ctx, tx, claims)
			actor.AuthContext = claims.AuthContext()
		} else if actor.Session, err = tx.Sessions.ByToken(ctx, proof.SessionToken.Digest()); err == nil {
			actor.AuthContext = actor.Session.AuthContext()
		}
		if err != nil {
			return err
		}
		if err := actor.Session.RequireActive(now); err != nil {
			return err
		}
		actor.User, err = tx.Users.ByID(ctx, actor.Session.UserID())
		return err
	})
	if err != nil {
		return identity.Principal{}, err
	}
	if err := actor.User.RequireEnabled(); err != nil {
		return identity.Principal{}, err
	}
	if !actor.Session.RecentlySeen(now) {
		a.LastSeen.Record(actor.Session.ID(), visitor.IP, now)
		actor.Session.Touch(a.Lifetime, now)
		actor.Session.RecordIP(visitor.IP)
	}
	return actor, nil
}

func sessionOf(ctx context.Context, tx ports.Tx, claims domain.AccessClaims) (*domain.Session, error) {
	session, err := tx.Sessions.ByID(ctx, claims.SessionID)
	if errors.Is(err, domain.ErrSessionNotFound) {
		return nil, domain.ErrAccessTokenInvalid // over so long ago that it was swept away, or its user is gone
	}
	if err != nil {
		return nil, err
	}
	if session.UserID() != claims.Subject || session.Transport() != domain.TransportBearer {
		return nil, domain.ErrAccessTokenInvalid
	}
	return session, nil
}
