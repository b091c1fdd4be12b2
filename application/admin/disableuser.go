package admin

import (
	"context"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/sessions"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// DisableUser disables an account, revokes its sessions and removes its recovery grant. It returns the number of revoked sessions,
// or domain.ErrUserNotFound. It is idempotent. It needs the scope users:write.
func (s *Service) DisableUser(ctx context.Context, ref domain.UserRef) (revoked int, err error) {
	if err := s.operator.RequireScope(domain.ScopeUsersWrite); err != nil {
		return revoked, err
	}
	now := s.Clock.Now()
	err = s.Store.Update(ctx, func(tx ports.Tx) error {
		user, err := identity.FindUser(ctx, tx, ref)
		if err != nil {
			return err
		}
		if user.Disable(now) {
			if err := s.saveStatus(ctx, tx, user, domain.EventAccountDisabled, now); err != nil {
				return err
			}
		}
		if err := tx.RecoveryGrants.Remove(ctx, user.ID()); err != nil {
			return err
		}
		e := domain.EventState{Kind: domain.EventSessionRevoked, Actor: domain.ActorOperator, Reason: string(domain.EventAccountDisabled)}
		revoked, err = sessions.RevokeSessions(ctx, tx, s.Audit, user.ID(), nil, s.client, e, now)
		return err
	})
	return revoked, err
}
