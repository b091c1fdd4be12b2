package admin

import (
	"context"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// ListUsers returns up to limit users, oldest first, that come after the given one; the zero id starts at the first. It needs the scope users:read.
func (s *Service) ListUsers(ctx context.Context, after domain.UserID, limit int) (users []*domain.User, err error) {
	if err := s.operator.RequireScope(domain.ScopeUsersRead); err != nil {
		return users, err
	}
	err = s.Store.View(ctx, func(tx ports.Tx) error {
		users, err = tx.Users.List(ctx, after, limit)
		return err
	})
	return users, err
}

// eachUser calls load for every user, one page of users per transaction, and calls apply with the results after the transaction,
// so that slow work in apply, such as decryption, does not block other transactions.
func eachUser[T any](ctx context.Context, store ports.Store, load func(ports.Tx, *domain.User) ([]T, error), apply func(T)) error {
	const pageSize = 100
	var last domain.UserID
	for {
		var users []*domain.User
		var loaded []T
		err := store.View(ctx, func(tx ports.Tx) (err error) {
			loaded = nil
			if users, err = tx.Users.List(ctx, last, pageSize); err != nil {
				return err
			}
			for _, user := range users {
				some, err := load(tx, user)
				if err != nil {
					return err
				}
				loaded = append(loaded, some...)
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, item := range loaded {
			apply(item)
		}
		if len(users) < pageSize {
			return nil
		}
		last = users[len(users)-1].ID()
	}
}
