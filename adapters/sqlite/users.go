package sqlite

import (
	"context"
	"errors"
	"fmt"

	"github.com/ncruces/go-sqlite3"

	"github.com/keylodge/keylodge/db/sqlitedb"
	"github.com/keylodge/keylodge/domain"
)

type users struct {
	queries         *sqlitedb.Queries
	truncatePending *bool // set when somebody was
}

func (u users) Add(ctx context.Context, user *domain.User) error {
	s := user.State()
	claim := pendingEmailColumnsOf(s.PendingEmail)
	added, err := u.queries.AddUser(context.WithoutCancel(ctx), sqlitedb.AddUserParams{
		ID:              s.ID.String(),
		UserHandle:      s.Handle.Bytes(),
		Email:           optionalText(s.Email),
		EmailVerifiedAt: optionalMicros(s.EmailVerifiedAt),
		ClaimedEmail:    claim.email,
		ClaimCode:       claim.code,
		ClaimFailures:   claim.failures,
		ClaimExpiresAt:  claim.expiresAt,
		DisplayName:     string(s.DisplayName),
		DisabledAt:      optionalMicros(s.DisabledAt),
		CreatedAt:       micros(s.CreatedAt),
	})
	if err != nil {
		return wrap("adding a user", err)
	}
	if added == 0 {
		return domain.ErrEmailTaken
	}
	return nil
}

func (u users) ByID(ctx context.Context, id domain.UserID) (*domain.User, error) {
	row, err := u.queries.UserByID(context.WithoutCancel(ctx), id.String())
	if err != nil {
		return nil, wrapNotFound("looking up a user", err, domain.ErrUserNotFound)
	}
	return userOf(row)
}

func (u users) ByEmail(ctx context.Context, email domain.Email) (*domain.User, error) {
	row, err := u.queries.UserByEmail(context.WithoutCancel(ctx), string(email))
	if err != nil {
		return nil, wrapNotFound("looking up a user by e-mail", err, domain.ErrUserNotFound)
	}
	return userOf(row)
}

func (u users) List(ctx context.Context, after domain.UserID, limit int) ([]*domain.User, error) {
	rows, err := u.queries.UsersAfter(context.WithoutCancel(ctx), sqlitedb.UsersAfterParams{After: after.String(), UpTo: int64(limit)})
	if err != nil {
		return nil, wrap("listing users", err)
	}
	return restoreAll(rows, userOf)
}

func (u users) Save(ctx context.Context, user *domain.User) error {
	s := user.State()
	claim := pendingEmailColumnsOf(s.PendingEmail)
	saved, err := u.queries.SaveUser(context.WithoutCancel(ctx), sqlitedb.SaveUserParams{
		Email:           optionalText(s.Email),
		EmailVerifiedAt: optionalMicros(s.EmailVerifiedAt),
		ClaimedEmail:    claim.email,
		ClaimCode:       claim.code,
		ClaimFailures:   claim.failures,
		ClaimExpiresAt:  claim.expiresAt,
		DisplayName:     string(s.DisplayName),
		DisabledAt:      optionalMicros(s.DisabledAt),
		ID:              s.ID.String(),
	})
	switch {
	case errors.Is(err, sqlite3.CONSTRAINT_UNIQUE): // of what changes, the address alone is unique
		return domain.ErrEmailTaken
	case err != nil:
		return wrap("saving a user", err)
	case saved == 0:
		return domain.ErrUserNotFound
	}
	return nil
}

func (u users) Remove(ctx context.Context, id domain.UserID) error {
	ctx = context.WithoutCancel(ctx)
	if err := u.queries.DisownEvents(ctx, new(id.String())); err != nil {
		return wrap("making a user's events nobody's", err)
	}
	removed, err := u.queries.RemoveUser(ctx, id.String())
	if err != nil {
		return wrap("removing a user", err)
	}
	if removed == 0 {
		return domain.ErrUserNotFound
	}
	*u.truncatePending = true
	return nil
}

func userOf(row sqlitedb.User) (*domain.User, error) {
	id, err := domain.ParseUserID(row.ID)
	if err != nil {
		return nil, fmt.Errorf("reading a user: %w", err)
	}
	claim, err := pendingEmailOf(row)
	if err != nil {
		return nil, fmt.Errorf("reading a user's claim: %w", err)
	}
	return domain.RestoreUser(domain.UserState{
		ID:              id,
		Handle:          domain.UserHandle(row.UserHandle),
		Email:           domain.Email(textOf(row.Email)),
		EmailVerifiedAt: optionalTime(row.EmailVerifiedAt),
		PendingEmail:    claim,
		DisplayName:     domain.DisplayName(row.DisplayName),
		DisabledAt:      optionalTime(row.DisabledAt),
		CreatedAt:       timeOf(row.CreatedAt),
	}), nil
}
