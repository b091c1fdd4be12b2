package sessions

import (
	"context"

	"github.com/keylodge/keylodge/application/access"
	"github.com/keylodge/keylodge/application/tokens"
	"github.com/keylodge/keylodge/ports"
)

// Mint makes an access token by which somebody who is signed in calls other services.
type Mint struct {
	Clock  ports.Clock
	Issuer *tokens.Issuer
}

func (m *Mint) Execute(ctx context.Context, actor access.Actor) (tokens.Access, error) {
	return m.Issuer.ForServices(ctx, actor.Session, actor.Proof, m.Clock.Now())
}
