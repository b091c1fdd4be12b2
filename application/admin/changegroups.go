package admin

import (
	"context"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// fieldGroups is the name of the groups in events of kind domain.EventAccountChanged.
const fieldGroups = "groups"

// ChangeGroups adds a user to groups, removes them from others, and returns the user. It returns domain.ErrUserNotFound, or an
// *InvalidInput if the user would have too many groups. It is idempotent. It needs the scope users:write.
func (s *Service) ChangeGroups(ctx context.Context, ref domain.UserRef, add, remove []domain.Group) (user *domain.User, err error) {
	if err := s.operator.RequireScope(domain.ScopeUsersWrite); err != nil {
		return user, err
	}
	now := s.Clock.Now()
	err = s.Store.Update(ctx, func(tx ports.Tx) error {
		if user, err = identity.FindUser(ctx, tx, ref); err != nil {
			return err
		}
		changed, err := user.ChangeGroups(add, remove)
		if err != nil || !changed {
			return err
		}
		if err := tx.Users.Save(ctx, user); err != nil {
			return err
		}
		return s.Audit.Record(ctx, tx, s.client, now, domain.EventState{
			Kind: domain.EventAccountChanged, UserID: user.ID(), Actor: domain.ActorOperator, Changed: []string{fieldGroups},
		})
	})
	return user, err
}
