package sessions

import (
	"context"
	"errors"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// PresentedToken is the token of a request: one of the two.
type PresentedToken struct {
	SessionToken domain.SessionToken // from the cookie of a browser
	AccessToken  string              // from the Authorization header, unverified
}

// Authenticate returns the user and the session that a token belongs to, and extends the idle lifetime of the session, which
// WriteLastSeen stores later. It looks up the session of an access token too, so that the token is rejected from the moment
// the session ends. It returns domain.ErrUnauthenticated, domain.ErrAccessTokenInvalid, domain.ErrAccessTokenExpired,
// domain.ErrSessionExpired, domain.ErrSessionRevoked or domain.ErrUserDisabled.
func (s *Service) Authenticate(ctx context.Context, token PresentedToken, client identity.Client) (identity.Principal, error) {
	now := s.Clock.Now()
	var claims domain.AccessClaims
	var err error
	if token.AccessToken != "" {
		if claims, err = s.Issuer.Verify(ctx, token.AccessToken, now); err != nil {
			return identity.Principal{}, err
		}
	}
	principal := identity.Principal{Client: client}
	err = s.Store.View(ctx, func(tx ports.Tx) (err error) {
		if token.AccessToken != "" {
			principal.Session, err = sessionOf(ctx, tx, claims)
			principal.AuthContext = claims.AuthContext()
		} else if principal.Session, err = tx.Sessions.ByToken(ctx, token.SessionToken.Digest()); err == nil {
			principal.AuthContext = principal.Session.AuthContext()
		}
		if err != nil {
			return err
		}
		if err := principal.Session.RequireActive(now); err != nil {
			return err
		}
		principal.User, err = tx.Users.ByID(ctx, principal.Session.UserID())
		return err
	})
	if err != nil {
		return identity.Principal{}, err
	}
	if err := principal.User.RequireEnabled(); err != nil {
		return identity.Principal{}, err
	}
	if !principal.Session.RecentlySeen(now) {
		s.RecordUse(principal.Session.ID(), client.IP, now)
		principal.Session.Touch(s.Lifetime, now)
		principal.Session.RecordIP(client.IP)
	}
	return principal, nil
}

func sessionOf(ctx context.Context, tx ports.Tx, claims domain.AccessClaims) (*domain.Session, error) {
	session, err := tx.Sessions.ByID(ctx, claims.SessionID)
	if errors.Is(err, domain.ErrSessionNotFound) {
		return nil, domain.ErrAccessTokenInvalid // the session was deleted after its expiry or with its user
	}
	if err != nil {
		return nil, err
	}
	if session.UserID() != claims.Subject || session.Transport() != domain.TransportBearer {
		return nil, domain.ErrAccessTokenInvalid
	}
	return session, nil
}
