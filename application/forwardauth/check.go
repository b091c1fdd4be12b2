package forwardauth

import (
	"context"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
)

// Check returns the user of a request to an application, by the token that the request presents. It returns domain.ErrUnauthenticated
// without a token for this application, the errors of sessions.Service.Authenticate, and domain.ErrStepUpRequired if the authentication
// is too old for the application.
func (s *Service) Check(ctx context.Context, app domain.Application, token string, client identity.Client) (identity.Principal, error) {
	now := s.Clock.Now()
	parsed, err := domain.ParseForwardAuthToken(token, app.Origin, s.Keys, now)
	if err != nil {
		return identity.Principal{}, err
	}
	principal, err := s.Sessions.AuthenticateForwardAuth(ctx, parsed, client)
	if err != nil {
		return identity.Principal{}, err
	}
	return principal, app.RequireRecentAuth(principal.AuthContext.AuthTime, now)
}
