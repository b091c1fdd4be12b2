package admin

import (
	"context"
	"time"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// EnableUser enables a disabled account. It returns domain.ErrUserNotFound. It is idempotent. It needs the scope users:write.
func (s *Service) EnableUser(ctx context.Context, ref domain.UserRef) error {
	if err := s.operator.RequireScope(domain.ScopeUsersWrite); err != nil {
		return err
	}
	now := s.Clock.Now()
	return s.Store.Update(ctx, func(tx ports.Tx) error {
		user, err := identity.FindUser(ctx, tx, ref)
		if err != nil || !user.Enable() {
			return err
		}
		return s.saveStatus(ctx, tx, user, domain.EventAccountEnabled, now)
	})
}

// saveStatus stores the user and records the event.
func (s *Service) saveStatus(ctx context.Context, tx ports.Tx, user *domain.User, kind domain.EventKind, now time.Time) error {
	if err := tx.Users.Save(ctx, user); err != nil {
		return err
	}
	return s.Audit.Record(ctx, tx, s.client, now, domain.EventState{Kind: kind, UserID: user.ID(), Actor: domain.ActorOperator})
}
