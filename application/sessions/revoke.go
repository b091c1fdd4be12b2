package sessions

import (
	"context"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Revoke revokes one of the user's sessions. It returns domain.ErrSessionNotFound for a session that has ended, does not exist,
// or belongs to another user.
func (s *Service) Revoke(ctx context.Context, principal identity.Principal, id domain.SessionID) error {
	now := s.Clock.Now()
	return s.Store.Update(ctx, func(tx ports.Tx) error {
		principal, err := principal.Reload(ctx, tx, now)
		if err != nil {
			return err
		}
		session, err := tx.Sessions.ByID(ctx, id)
		if err != nil {
			return err
		}
		if session.UserID() != principal.User.ID() || !session.Active(now) {
			return domain.ErrSessionNotFound
		}
		return RevokeSession(ctx, tx, s.Audit, session, principal.Client, domain.EventState{Kind: domain.EventSessionRevoked}, now)
	})
}
