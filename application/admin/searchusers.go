package admin

import (
	"context"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// SearchUsers returns up to limit users whose e-mail address, display name or last word of it begins with the text, as ports.Users.Search
// does. It needs the scope users:read.
func (s *Service) SearchUsers(ctx context.Context, text string, limit int) (users []*domain.User, err error) {
	if err := s.operator.RequireScope(domain.ScopeUsersRead); err != nil {
		return nil, err
	}
	err = s.Store.View(ctx, func(tx ports.Tx) error {
		users, err = tx.Users.Search(ctx, text, limit)
		return err
	})
	return users, err
}
