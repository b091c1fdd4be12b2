package admin

import (
	"context"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/sessions"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// RevokeSessions revokes all sessions of a user. It returns the number of revoked sessions, or domain.ErrUserNotFound. It needs the scope sessions:write.
func (s *Service) RevokeSessions(ctx context.Context, ref domain.UserRef) (revoked int, err error) {
	if err := s.operator.RequireScope(domain.ScopeSessionsWrite); err != nil {
		return revoked, err
	}
	now := s.Clock.Now()
	err = s.Store.Update(ctx, func(tx ports.Tx) error {
		user, err := identity.FindUser(ctx, tx, ref)
		if err != nil {
			return err
		}
		e := domain.EventState{Kind: domain.EventSessionRevoked, Actor: domain.ActorOperator}
		revoked, err = sessions.RevokeSessions(ctx, tx, s.Audit, user.ID(), nil, s.client, e, now)
		return err
	})
	return revoked, err
}
