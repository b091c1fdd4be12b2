package sessions

import (
	"context"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/signingkeys"
)

// IssueAccessToken returns an access token for other services. It returns domain.ErrUnauthenticated if the token of the request
// does not permit it.
func (s *Service) IssueAccessToken(ctx context.Context, principal identity.Principal) (signingkeys.AccessToken, error) {
	return s.Issuer.IssueServiceToken(ctx, principal.Session, principal.AuthContext, s.Clock.Now())
}
