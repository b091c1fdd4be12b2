package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/keylodge/keylodge/db/postgresdb"
	"github.com/keylodge/keylodge/domain"
)

type users struct{ queries *postgresdb.Queries }

func (u users) Add(ctx context.Context, user *domain.User) error {
	s := user.State()
	claim := pendingEmailColumnsOf(s.PendingEmail)
	added, err := u.queries.AddUser(ctx, postgresdb.AddUserParams{
		ID:              s.ID.String(),
		UserHandle:      s.Handle.Bytes(),
		Email:           optionalText(s.Email),
		EmailVerifiedAt: optionalTimestamp(s.EmailVerifiedAt),
		ClaimedEmail:    claim.email,
		ClaimCode:       claim.code,
		ClaimFailures:   claim.failures,
		ClaimExpiresAt:  claim.expiresAt,
		DisplayName:     string(s.DisplayName),
		DisabledAt:      optionalTimestamp(s.DisabledAt),
		CreatedAt:       s.CreatedAt,
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
	row, err := u.queries.UserByID(ctx, id.String())
	if err != nil {
		return nil, wrapNotFound("looking up a user", err, domain.ErrUserNotFound)
	}
	return userOf(row)
}

func (u users) ByEmail(ctx context.Context, email domain.Email) (*domain.User, error) {
	if strings.ContainsRune(string(email), 0) {
		return nil, domain.ErrUserNotFound // no text in PostgreSQL holds it, and asking for one would end the transaction
	}
	row, err := u.queries.UserByEmail(ctx, string(email))
	if err != nil {
		return nil, wrapNotFound("looking up a user by e-mail", err, domain.ErrUserNotFound)
	}
	return userOf(row)
}

func (u users) List(ctx context.Context, after domain.UserID, limit int) ([]*domain.User, error) {
	rows, err := u.queries.UsersAfter(ctx, postgresdb.UsersAfterParams{After: after.String(), UpTo: int64(limit)})
	if err != nil {
		return nil, wrap("listing users", err)
	}
	return restoreAll(rows, userOf)
}

func (u users) Save(ctx context.Context, user *domain.User) error {
	s := user.State()
	claim := pendingEmailColumnsOf(s.PendingEmail)
	saved, err := u.queries.SaveUser(ctx, postgresdb.SaveUserParams{
		Email:           optionalText(s.Email),
		EmailVerifiedAt: optionalTimestamp(s.EmailVerifiedAt),
		ClaimedEmail:    claim.email,
		ClaimCode:       claim.code,
		ClaimFailures:   claim.failures,
		ClaimExpiresAt:  claim.expiresAt,
		DisplayName:     string(s.DisplayName),
		DisabledAt:      optionalTimestamp(s.DisabledAt),
		ID:              s.ID.String(),
	})
	if err != nil {
		return wrap("saving a user", err)
	}
	if saved == 0 { // there is nobody, or somebody else has the address
		if _, err := u.ByID(ctx, s.ID); err != nil {
			return err
		}
		return domain.ErrEmailTaken
	}
	return nil
}

func (u users) Remove(ctx context.Context, id domain.UserID) error {
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
	return nil
}

func userOf(row postgresdb.User) (*domain.User, error) {
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
