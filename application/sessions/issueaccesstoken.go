package sessions

import (
	"context"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/signingkeys"
	"github.com/keylodge/keylodge/ports"
)

// IssueAccessToken makes an access token by which somebody who is signed in calls other services.
type IssueAccessToken struct {
	Clock  ports.Clock
	Issuer *signingkeys.Issuer
}

func (m *IssueAccessToken) Execute(ctx context.Context, actor identity.Principal) (signingkeys.AccessToken, error) {
	return m.Issuer.IssueServiceToken(ctx, actor.Session, actor.AuthContext, m.Clock.Now())
}
