package admin

import (
	"context"

	"github.com/keylodge/keylodge/application/sessions"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// RevokeSession revokes a session of any user. It returns domain.ErrSessionNotFound for an unknown or ended session. It needs the scope sessions:write.
func (s *Service) RevokeSession(ctx context.Context, id domain.SessionID) error {
	if err := s.operator.RequireScope(domain.ScopeSessionsWrite); err != nil {
		return err
	}
	now := s.Clock.Now()
	return s.Store.Update(ctx, func(tx ports.Tx) error {
		session, err := tx.Sessions.ByID(ctx, id)
		if err != nil {
			return err
		}
		if !session.Active(now) {
			return domain.ErrSessionNotFound
		}
		e := domain.EventState{Kind: domain.EventSessionRevoked, Actor: domain.ActorOperator}
		return sessions.RevokeSession(ctx, tx, s.Audit, session, s.client, e, now)
	})
}
