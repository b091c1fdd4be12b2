package memory

import (
	"context"
	"fmt"
	"time"

	"github.com/keylodge/keylodge/domain"
)

type grants struct{ state }

func (g grants) Put(_ context.Context, grant *domain.Grant) error {
	if err := g.writable(); err != nil {
		return err
	}
	s := grant.Snapshot()
	if _, found := g.users[s.UserID]; !found {
		return fmt.Errorf("the grant's user %s is not there", s.UserID)
	}
	delete(g.grants, s.UserID)
	g.removeStrandedChallenges()
	if g.hasGrant(s.Token) {
		return fmt.Errorf("the grant of user %s has another one's token", s.UserID)
	}
	g.grants[s.UserID] = s
	return nil
}

func (g grants) OfUser(_ context.Context, user domain.UserID) (*domain.Grant, error) {
	s, found := g.grants[user]
	if !found {
		return nil, domain.ErrInvalidGrant
	}
	return domain.RestoreGrant(s), nil
}

func (g grants) ByToken(_ context.Context, token domain.TokenDigest) (*domain.Grant, error) {
	for _, s := range g.grants {
		if s.Token == token {
			return domain.RestoreGrant(s), nil
		}
	}
	return nil, domain.ErrInvalidGrant
}

func (g grants) Remove(_ context.Context, user domain.UserID) error {
	if err := g.writable(); err != nil {
		return err
	}
	delete(g.grants, user)
	g.removeStrandedChallenges()
	return nil
}

func (g grants) Take(ctx context.Context, token domain.TokenDigest) (*domain.Grant, error) {
	if err := g.writable(); err != nil {
		return nil, err
	}
	grant, err := g.ByToken(ctx, token)
	if err != nil {
		return nil, err
	}
	delete(g.grants, grant.UserID())
	g.removeStrandedChallenges()
	return grant, nil
}

func (g grants) Sweep(_ context.Context, expired time.Time, limit int) (int, error) {
	if err := g.writable(); err != nil {
		return 0, err
	}
	swept := sweep(g.grants, func(s domain.GrantSnapshot) time.Time { return s.ExpiresAt }, expired, limit)
	g.removeStrandedChallenges()
	return swept, nil
}

func (s state) hasGrant(token domain.TokenDigest) bool {
	for _, grant := range s.grants {
		if grant.Token == token {
			return true
		}
	}
	return false
}
