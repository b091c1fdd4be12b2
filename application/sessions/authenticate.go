package sessions

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
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
	session, user, err := s.find(ctx, token, claims, now)
	if err != nil {
		return identity.Principal{}, err
	}
	auth := session.AuthContext()
	if token.AccessToken != "" {
		if session.UserID() != claims.Subject || session.Transport() != domain.TransportBearer {
			return identity.Principal{}, domain.ErrAccessTokenInvalid
		}
		auth = claims.AuthContext()
	}
	return s.accept(session, user, auth, client, now)
}

// AuthenticateForwardAuth is Authenticate for a token that a browser presents to an application behind a reverse proxy, and that is
// verified.
func (s *Service) AuthenticateForwardAuth(ctx context.Context, token domain.ForwardAuthToken, client identity.Client) (identity.Principal, error) {
	now := s.Clock.Now()
	session, user, err := s.Store.ByID(ctx, token.SessionID, token.Digest(), now)
	if errors.Is(err, domain.ErrSessionNotFound) {
		return identity.Principal{}, domain.ErrUnauthenticated // the session was deleted after its expiry or with its user
	}
	if err != nil {
		return identity.Principal{}, err
	}
	return s.accept(session, user, token.AuthContext(), client, now)
}

// accept returns the principal of a request that presented a token of the session.
func (s *Service) accept(session *domain.Session, user *domain.User, auth domain.AuthContext, client identity.Client, now time.Time) (identity.Principal, error) {
	if err := session.RequireActive(now); err != nil {
		return identity.Principal{}, err
	}
	if err := user.RequireEnabled(); err != nil {
		return identity.Principal{}, err
	}
	if !session.RecentlySeen(now) {
		s.RecordUse(session.ID(), client.IP, now)
		session.Touch(s.Lifetime, now)
		session.RecordIP(client.IP)
	}
	return identity.Principal{User: user, Session: session, AuthContext: auth, Client: client}, nil
}

// find returns the session of the token, whose claims are verified, and its user.
func (s *Service) find(ctx context.Context, token PresentedToken, claims domain.AccessClaims, now time.Time) (*domain.Session, *domain.User, error) {
	if token.AccessToken == "" {
		return s.Store.ByToken(ctx, token.SessionToken.Digest(), now)
	}
	session, user, err := s.Store.ByID(ctx, claims.SessionID, sha256.Sum256([]byte(token.AccessToken)), now)
	if errors.Is(err, domain.ErrSessionNotFound) {
		return nil, nil, domain.ErrAccessTokenInvalid // the session was deleted after its expiry or with its user
	}
	return session, user, err
}
