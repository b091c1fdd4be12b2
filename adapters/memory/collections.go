package memory

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/keylodge/keylodge/domain"
)

type users struct{ state }

func (u users) Add(_ context.Context, user *domain.User) error {
	if err := u.writable(); err != nil {
		return err
	}
	s := user.Snapshot()
	for _, other := range u.users {
		switch {
		case other.ID == s.ID:
			return fmt.Errorf("there is a user %s already", s.ID)
		case other.Handle == s.Handle:
			return fmt.Errorf("user %s has the same handle", other.ID)
		case s.Email != "" && other.Email == s.Email:
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

type credentials struct{ state }

func (c credentials) Add(_ context.Context, credential *domain.Credential) error {
	if err := c.writable(); err != nil {
		return err
	}
	s := credential.Snapshot()
	if _, found := c.credentials[s.ID]; found {
		return domain.ErrPasskeyAlreadyRegistered
	}
	if _, found := c.users[s.UserID]; !found {
		return fmt.Errorf("the passkey's user %s is not there", s.UserID)
	}
	c.credentials[s.ID] = s
	return nil
}

func (c credentials) ByID(_ context.Context, id domain.CredentialID) (*domain.Credential, error) {
	s, found := c.credentials[id]
	if !found {
		return nil, domain.ErrPasskeyUnknown
	}
	return domain.RestoreCredential(s), nil
}

func (c credentials) OfUser(_ context.Context, id domain.UserID) ([]*domain.Credential, error) {
	owned := []*domain.Credential{}
	oldestFirst := func(a, b domain.CredentialSnapshot) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	}
	for _, s := range slices.SortedFunc(maps.Values(c.credentials), oldestFirst) {
		if s.UserID == id {
			owned = append(owned, domain.RestoreCredential(s))
		}
	}
	return owned, nil
}

func (c credentials) Save(_ context.Context, credential *domain.Credential) error {
	if err := c.writable(); err != nil {
		return err
	}
	s := credential.Snapshot()
	if _, found := c.credentials[s.ID]; !found {
		return domain.ErrPasskeyUnknown
	}
	c.credentials[s.ID] = s
	return nil
}

type challenges struct{ state }

func (c challenges) Add(_ context.Context, challenge *domain.Challenge) error {
	if err := c.writable(); err != nil {
		return err
	}
	s := challenge.Snapshot()
	if _, found := c.challenges[s.ID]; found {
		return fmt.Errorf("there is a challenge %s already", s.ID)
	}
	c.challenges[s.ID] = s
	return nil
}

func (c challenges) ByID(_ context.Context, id domain.ChallengeID) (*domain.Challenge, error) {
	s, found := c.challenges[id]
	if !found {
		return nil, domain.ErrChallengeNotFound
	}
	return domain.RestoreChallenge(s), nil
}

func (c challenges) Take(ctx context.Context, id domain.ChallengeID) (*domain.Challenge, error) {
	if err := c.writable(); err != nil {
		return nil, err
	}
	challenge, err := c.ByID(ctx, id)
	delete(c.challenges, id)
	return challenge, err
}

func (c challenges) Sweep(_ context.Context, expired time.Time, limit int) (int, error) {
	if err := c.writable(); err != nil {
		return 0, err
	}
	return sweep(c.challenges, func(s domain.ChallengeSnapshot) time.Time { return s.ExpiresAt }, expired, limit), nil
}

type sessions struct{ state }

func (s sessions) Add(_ context.Context, session *domain.Session) error {
	if err := s.writable(); err != nil {
		return err
	}
	added := session.Snapshot()
	if _, found := s.users[added.UserID]; !found {
		return fmt.Errorf("the session's user %s is not there", added.UserID)
	}
	for _, other := range s.sessions {
		if other.ID == added.ID || other.Token == added.Token {
			return fmt.Errorf("session %s has the same id or token", other.ID)
		}
	}
	s.sessions[added.ID] = added
	return nil
}

func (s sessions) ByToken(_ context.Context, token domain.TokenDigest) (*domain.Session, error) {
	for _, session := range s.sessions {
		if session.Token == token {
			return domain.RestoreSession(session), nil
		}
	}
	return nil, domain.ErrUnauthenticated
}

func (s sessions) Save(_ context.Context, session *domain.Session) error {
	if err := s.writable(); err != nil {
		return err
	}
	saved := session.Snapshot()
	if _, found := s.sessions[saved.ID]; !found {
		return domain.ErrUnauthenticated
	}
	s.sessions[saved.ID] = saved
	return nil
}

func (s sessions) Sweep(_ context.Context, ended time.Time, limit int) (int, error) {
	if err := s.writable(); err != nil {
		return 0, err
	}
	end := func(s domain.SessionSnapshot) time.Time {
		if !s.RevokedAt.IsZero() {
			return s.RevokedAt
		}
		return s.IdleEndsAt
	}
	return sweep(s.sessions, end, ended, limit), nil
}

// sweep deletes up to limit entries that ended at or before the given time, oldest end first.
func sweep[K comparable, V any](all map[K]V, end func(V) time.Time, before time.Time, limit int) int {
	var over []K
	for k, v := range all {
		if !end(v).After(before) {
			over = append(over, k)
		}
	}
	slices.SortFunc(over, func(a, b K) int { return end(all[a]).Compare(end(all[b])) })
	over = over[:min(limit, len(over))]
	for _, k := range over {
		delete(all, k)
	}
	return len(over)
}
