package memory

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/keylodge/keylodge/domain"
)

type sessions struct{ state }

func (s sessions) Add(_ context.Context, session *domain.Session) error {
	if err := s.writable(); err != nil {
		return err
	}
	added := session.State()
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

func (s sessions) ByID(_ context.Context, id domain.SessionID) (*domain.Session, error) {
	session, found := s.sessions[id]
	if !found {
		return nil, domain.ErrSessionNotFound
	}
	return domain.RestoreSession(session), nil
}

func (s sessions) ListActive(_ context.Context, user domain.UserID, now time.Time, before domain.SessionID, limit int) ([]*domain.Session, error) {
	live := []*domain.Session{}
	newestFirst := func(a, b domain.SessionState) int { return compareIDs(b.ID, a.ID) }
	for _, snapshot := range slices.SortedFunc(maps.Values(s.sessions), newestFirst) {
		session := domain.RestoreSession(snapshot)
		if len(live) < limit && session.UserID() == user && session.Active(now) && isBefore(session.ID(), before) {
			live = append(live, session)
		}
	}
	return live, nil
}

func (s sessions) Save(_ context.Context, session *domain.Session) error {
	if err := s.writable(); err != nil {
		return err
	}
	saved := session.State()
	if _, found := s.sessions[saved.ID]; !found {
		return domain.ErrUnauthenticated
	}
	s.sessions[saved.ID] = saved
	return nil
}

func (s sessions) DeleteExpired(_ context.Context, ended time.Time, limit int) (int, error) {
	if err := s.writable(); err != nil {
		return 0, err
	}
	end := func(s domain.SessionState) time.Time {
		if !s.RevokedAt.IsZero() {
			return s.RevokedAt
		}
		return s.IdleEndsAt
	}
	swept := sweep(s.sessions, end, ended, limit)
	s.removeStrandedChallenges()
	return swept, nil
}
