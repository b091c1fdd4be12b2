package sessions

import (
	"context"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// RevokeOthers revokes every session of the user except that of the request, and returns how many it revoked.
func (s *Service) RevokeOthers(ctx context.Context, principal identity.Principal) (revoked int, err error) {
	now := s.Clock.Now()
	err = s.Store.Update(ctx, func(tx ports.Tx) error {
		principal, err := principal.Reload(ctx, tx, now)
		if err != nil {
			return err
		}
		own := func(session *domain.Session) bool { return session.ID() == principal.Session.ID() }
		e := domain.EventState{Kind: domain.EventSessionRevoked}
		revoked, err = RevokeSessions(ctx, tx, s.Audit, principal.User.ID(), own, principal.Client, e, now)
		return err
	})
	return revoked, err
}
