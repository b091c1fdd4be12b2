package sqlite

import (
	"context"
	"fmt"

	"github.com/keylodge/keylodge/db/sqlitedb"
	"github.com/keylodge/keylodge/domain"
)

type users struct{ queries *sqlitedb.Queries }

func (u users) Add(ctx context.Context, user *domain.User) error {
	s := user.Snapshot()
	added, err := u.queries.AddUser(context.WithoutCancel(ctx), sqlitedb.AddUserParams{
		ID:              s.ID.String(),
		UserHandle:      s.Handle.Bytes(),
		Email:           optionalText(s.Email),
		EmailVerifiedAt: optionalMicros(s.EmailVerifiedAt),
		DisplayName:     string(s.DisplayName),
		CreatedAt:       micros(s.CreatedAt),
	})
	if err != nil {
		return fault("adding a user", err)
	}
	if added == 0 {
		return domain.ErrEmailTaken
	}
	return nil
}

func (u users) ByID(ctx context.Context, id domain.UserID) (*domain.User, error) {
	row, err := u.queries.UserByID(context.WithoutCancel(ctx), id.String())
	if err != nil {
		return nil, lookupFault("looking up a user", err, domain.ErrUserNotFound)
	}
	return userOf(row)
}

func (u users) ByEmail(ctx context.Context, email domain.Email) (*domain.User, error) {
	row, err := u.queries.UserByEmail(context.WithoutCancel(ctx), string(email))
	if err != nil {
		return nil, lookupFault("looking up a user by e-mail", err, domain.ErrUserNotFound)
	}
	return userOf(row)
}

func userOf(row sqlitedb.User) (*domain.User, error) {
	id, err := domain.ParseUserID(row.ID)
	if err != nil {
		return nil, fmt.Errorf("reading a user: %w", err)
	}
	return domain.RestoreUser(domain.UserSnapshot{
		ID:              id,
		Handle:          domain.UserHandle(row.UserHandle),
		Email:           domain.Email(textOf(row.Email)),
		EmailVerifiedAt: optionalTime(row.EmailVerifiedAt),
		DisplayName:     domain.DisplayName(row.DisplayName),
		CreatedAt:       timeOf(row.CreatedAt),
	}), nil
}
