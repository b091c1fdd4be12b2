package sqlstore

import (
	"context"
	"slices"
	"unicode/utf8"

	"github.com/keylodge/keylodge/db/column"
	"github.com/keylodge/keylodge/db/sqlitedb"
	"github.com/keylodge/keylodge/domain"
)

type users struct{ collection }

func (u users) Add(ctx context.Context, user *domain.User) error {
	added, err := u.q.AddUser(ctx, sqlitedb.AddUserParams(userRow(user)))
	return u.affected("adding a user", added, err, domain.ErrEmailTaken)
}

func (u users) ByID(ctx context.Context, id domain.UserID) (*domain.User, error) {
	row, err := u.q.UserByID(ctx, id.String())
	if err != nil {
		return nil, u.wrapNotFound("looking up a user", err, domain.ErrUserNotFound)
	}
	return userOf(row)
}

func (u users) ByEmail(ctx context.Context, email domain.Email) (*domain.User, error) {
	row, err := u.q.UserByEmail(ctx, string(email))
	if err != nil {
		return nil, u.wrapNotFound("looking up a user by e-mail", err, domain.ErrUserNotFound)
	}
	return userOf(row)
}

func (u users) List(ctx context.Context, after domain.UserID, limit int) ([]*domain.User, error) {
	rows, err := u.q.ListUsers(ctx, after.String(), int64(limit))
	if err != nil {
		return nil, u.wrap("listing users", err)
	}
	return restoreAll(rows, userOf)
}

func (u users) Search(ctx context.Context, text string, limit int) ([]*domain.User, error) {
	low := searchKey(text)
	if low == "" {
		return nil, nil
	}
	high := low + string(utf8.MaxRune)
	var found []*domain.User
	for _, search := range []func(context.Context, sqlitedb.SearchUsersByEmailParams) ([]sqlitedb.User, error){
		u.q.SearchUsersByEmail,
		func(ctx context.Context, arg sqlitedb.SearchUsersByEmailParams) ([]sqlitedb.User, error) {
			return u.q.SearchUsersByName(ctx, sqlitedb.SearchUsersByNameParams(arg))
		},
		func(ctx context.Context, arg sqlitedb.SearchUsersByEmailParams) ([]sqlitedb.User, error) {
			return u.q.SearchUsersByLastWord(ctx, sqlitedb.SearchUsersByLastWordParams(arg))
		},
	} {
		rows, err := search(ctx, sqlitedb.SearchUsersByEmailParams{Low: low, High: high, UpTo: int64(limit)})
		if err != nil {
			return nil, u.wrap("searching users", err)
		}
		more, err := restoreAll(rows, userOf)
		if err != nil {
			return nil, err
		}
		for _, user := range more {
			if len(found) < limit && !slices.ContainsFunc(found, func(f *domain.User) bool { return f.ID() == user.ID() }) {
				found = append(found, user)
			}
		}
	}
	return found, nil
}

func (u users) Save(ctx context.Context, user *domain.User) error {
	row := userRow(user)
	saved, err := u.q.SaveUser(ctx, sqlitedb.SaveUserParams{
		Email:                 row.Email,
		EmailVerifiedAt:       row.EmailVerifiedAt,
		PendingEmail:          row.PendingEmail,
		PendingEmailCode:      row.PendingEmailCode,
		PendingEmailFailures:  row.PendingEmailFailures,
		PendingEmailExpiresAt: row.PendingEmailExpiresAt,
		DisplayName:           row.DisplayName,
		Locale:                row.Locale,
		SearchName:            row.SearchName,
		SearchLastWord:        row.SearchLastWord,
		Groups:                row.Groups,
		DisabledAt:            row.DisabledAt,
		ID:                    row.ID,
	})
	if err == nil && saved == 0 { // the user does not exist, or another user has the e-mail address
		if _, err := u.ByID(ctx, user.ID()); err != nil {
			return err
		}
		return domain.ErrEmailTaken
	}
	return u.wrap("saving a user", err)
}

func (u users) Remove(ctx context.Context, id domain.UserID) error {
	if err := u.q.AnonymizeEvents(ctx, optionalID(id)); err != nil {
		return u.wrap("anonymizing a user's events", err)
	}
	removed, err := u.q.RemoveUser(ctx, id.String())
	return u.affected("removing a user", removed, err, domain.ErrUserNotFound)
}

func userRow(user *domain.User) sqlitedb.User {
	s := user.State()
	name := searchKey(string(s.DisplayName))
	return sqlitedb.User{
		ID:                    s.ID.String(),
		UserHandle:            s.Handle.Bytes(),
		Email:                 column.Text(s.Email),
		EmailVerifiedAt:       column.Time{Time: s.EmailVerifiedAt},
		PendingEmail:          column.Text(s.PendingEmail.Email),
		PendingEmailCode:      pendingEmailCode(s.PendingEmail),
		PendingEmailFailures:  int64(s.PendingEmail.Failures),
		PendingEmailExpiresAt: column.Time{Time: s.PendingEmail.ExpiresAt},
		DisplayName:           string(s.DisplayName),
		Locale:                column.Text(s.Locale),
		SearchName:            name,
		SearchLastWord:        lastWord(name),
		Groups:                stringsOf(s.Groups),
		DisabledAt:            column.Time{Time: s.DisabledAt},
		CreatedAt:             column.Time{Time: s.CreatedAt},
	}
}

// pendingEmailCode returns NULL without a pending e-mail.
func pendingEmailCode(p domain.PendingEmail) []byte {
	if p.Email == "" {
		return nil
	}
	return p.Code[:]
}

func userOf(row sqlitedb.User) (*domain.User, error) {
	var d decoder
	s := domain.UserState{
		ID:              parseID(&d, "id", row.ID, domain.ParseUserID),
		Handle:          domain.UserHandle(row.UserHandle),
		Email:           domain.Email(row.Email),
		EmailVerifiedAt: row.EmailVerifiedAt.Time,
		PendingEmail: domain.PendingEmail{
			Email:     domain.Email(row.PendingEmail),
			Failures:  int(row.PendingEmailFailures),
			ExpiresAt: row.PendingEmailExpiresAt.Time,
		},
		DisplayName: domain.DisplayName(row.DisplayName),
		Locale:      domain.Locale(row.Locale),
		Groups:      listOf[domain.Group](row.Groups),
		DisabledAt:  row.DisabledAt.Time,
		CreatedAt:   row.CreatedAt.Time,
	}
	d.bytes("pending_email_code", s.PendingEmail.Code[:], row.PendingEmailCode)
	return restore(d, "user", s, domain.RestoreUser)
}
