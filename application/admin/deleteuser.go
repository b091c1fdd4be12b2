package admin

import (
	"context"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// DeleteUser deletes an account and all its data, as account.Service.Delete does. It returns domain.ErrUserNotFound. It needs the scope users:write.
func (s *Service) DeleteUser(ctx context.Context, ref domain.UserRef) error {
	if err := s.operator.RequireScope(domain.ScopeUsersWrite); err != nil {
		return err
	}
	now := s.Clock.Now()
	return s.Store.Update(ctx, func(tx ports.Tx) error {
		user, err := identity.FindUser(ctx, tx, ref)
		if err != nil {
			return err
		}
		e := domain.EventState{Kind: domain.EventAccountDeleted, UserID: user.ID(), Actor: domain.ActorOperator}
		if err := s.Audit.Record(ctx, tx, s.client, now, e); err != nil {
			return err
		}
		if err := tx.Lockouts.Clear(ctx, s.Lockout.Account(user.ID())); err != nil { // the store cannot relate it to the user
			return err
		}
		if err := tx.Users.Remove(ctx, user.ID()); err != nil {
			return err
		}
		return s.Notifier.Queue(ctx, tx, user, domain.UserID{}, domain.EmailKindAccountDeleted, s.client, e, now)
	})
}
