// Package admin is what the operator does, at the machine itself.
package admin

import (
	"context"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// ListUsers shows the operator who has an account.
type ListUsers struct{ Store ports.Store }

// Execute returns up to limit users, oldest first, after the given one: from the first for the zero id.
func (l *ListUsers) Execute(ctx context.Context, after domain.UserID, limit int) (list []*domain.User, err error) {
	err = l.Store.View(ctx, func(tx ports.Tx) error {
		list, err = tx.Users.List(ctx, after, limit)
		return err
	})
	return list, err
}

// UserRef names a user: by id, or by e-mail address.
type UserRef struct {
	ID    domain.UserID
	Email domain.Email
}

// ParseUserRef reads what an operator wrote: an e-mail address if it has an @, else an id.
func ParseUserRef(s string) (UserRef, error) {
	if id, err := domain.ParseUserID(s); err == nil {
		return UserRef{ID: id}, nil
	}
	email, err := domain.ParseEmail(s)
	if err != nil || email == "" {
		return UserRef{}, domain.Invalid("user", "invalid_user", "name the user by id or by e-mail address")
	}
	return UserRef{Email: email}, nil
}

// find returns domain.ErrUserNotFound for nobody.
func (w UserRef) find(ctx context.Context, tx ports.Tx) (*domain.User, error) {
	if w.Email != "" {
		return tx.Users.ByEmail(ctx, w.Email)
	}
	return tx.Users.ByID(ctx, w.ID)
}
