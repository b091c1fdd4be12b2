package memory

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/keylodge/keylodge/domain"
)

type users struct{ state }

func (u users) Add(_ context.Context, user *domain.User) error {
	if err := u.writable(); err != nil {
		return err
	}
	s := user.State()
	for _, other := range u.users {
		switch {
		case other.ID == s.ID:
			return fmt.Errorf("there is a user %s already", s.ID)
		case other.Handle == s.Handle:
			return fmt.Errorf("user %s has the same handle", other.ID)
		}
	}
	return u.keep(s)
}

// keep holds to it that an address belongs to one user.
func (u users) keep(s domain.UserState) error {
	for _, other := range u.users {
		if s.Email != "" && other.Email == s.Email && other.ID != s.ID {
			return domain.ErrEmailTaken
		}
	}
	u.users[s.ID] = s
	return nil
}

func (u users) ByID(_ context.Context, id domain.UserID) (*domain.User, error) {
	s, found := u.users[id]
	if !found {
		return nil, domain.ErrUserNotFound
	}
	return domain.RestoreUser(s), nil
}

func (u users) ByEmail(_ context.Context, email domain.Email) (*domain.User, error) {
	for _, s := range u.users {
		if email != "" && s.Email == email {
			return domain.RestoreUser(s), nil
		}
	}
	return nil, domain.ErrUserNotFound
}

func (u users) List(_ context.Context, after domain.UserID, limit int) ([]*domain.User, error) {
	listed := []*domain.User{}
	for _, s := range slices.SortedFunc(maps.Values(u.users), func(a, b domain.UserState) int { return compareIDs(a.ID, b.ID) }) {
		if len(listed) < limit && compareIDs(s.ID, after) > 0 {
			listed = append(listed, domain.RestoreUser(s))
		}
	}
	return listed, nil
}

func (u users) Save(_ context.Context, user *domain.User) error {
	if err := u.writable(); err != nil {
		return err
	}
	s := user.State()
	if _, found := u.users[s.ID]; !found {
		return domain.ErrUserNotFound
	}
	return u.keep(s)
}

func (u users) Remove(_ context.Context, id domain.UserID) error {
	if err := u.writable(); err != nil {
		return err
	}
	if _, found := u.users[id]; !found {
		return domain.ErrUserNotFound
	}
	delete(u.users, id)
	maps.DeleteFunc(u.credentials, func(_ domain.CredentialID, s domain.CredentialState) bool { return s.UserID == id })
	maps.DeleteFunc(u.sessions, func(_ domain.SessionID, s domain.SessionState) bool { return s.UserID == id })
	delete(u.totps, id)
	u.removeBackupCodes(id)
	delete(u.grants, id)
	maps.DeleteFunc(u.messages, func(_ domain.OutboxEmailID, s domain.OutboxEmailState) bool { return s.UserID == id })
	u.removeStrandedChallenges()
	for eventID, s := range u.events {
		if s.UserID == id {
			u.events[eventID] = disowned(s)
		}
	}
	return nil
}
