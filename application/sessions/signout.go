package sessions

import (
	"context"
	"errors"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// SignOut revokes the session of the request. A session that has ended meanwhile is not an error.
func (s *Service) SignOut(ctx context.Context, principal identity.Principal) error {
	now := s.Clock.Now()
	err := s.Store.Update(ctx, func(tx ports.Tx) error {
		principal, err := principal.Reload(ctx, tx, now)
		if err != nil {
			return err
		}
		return RevokeSession(ctx, tx, s.Audit, principal.Session, principal.Client, domain.EventState{Kind: domain.EventSignedOut}, now)
	})
	if errors.Is(err, domain.ErrSessionRevoked) || errors.Is(err, domain.ErrSessionExpired) {
		return nil
	}
	return err
}
