package sessions

import (
	"context"
	"errors"

	"github.com/keylodge/keylodge/application/audit"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// SignOut ends the session of whoever asks.
type SignOut struct {
	Store ports.Store
	Clock ports.Clock
	Audit *audit.Log
}

// Execute succeeds also if the session has ended meanwhile: whoever wants to be signed out is.
func (s *SignOut) Execute(ctx context.Context, actor identity.Principal) error {
	now := s.Clock.Now()
	err := s.Store.Update(ctx, func(tx ports.Tx) error {
		actor, err := actor.Reload(ctx, tx, now)
		if err != nil {
			return err
		}
		return RevokeSession(ctx, tx, s.Audit, actor.Session, actor.Client, domain.EventState{Kind: domain.EventSignedOut}, now)
	})
	if errors.Is(err, domain.ErrSessionRevoked) || errors.Is(err, domain.ErrSessionExpired) {
		return nil
	}
	return err
}
