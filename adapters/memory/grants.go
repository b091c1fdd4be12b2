package memory

import (
	"context"
	"fmt"
	"time"

	"github.com/keylodge/keylodge/domain"
)

type grants struct{ state }

func (g grants) Put(_ context.Context, grant *domain.RecoveryGrant) error {
	if err := g.writable(); err != nil {
		return err
	}
	s := grant.State()
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

func (g grants) ByUser(_ context.Context, user domain.UserID) (*domain.RecoveryGrant, error) {
	s, found := g.grants[user]
	if !found {
		return nil, domain.ErrRecoveryGrantInvalid
	}
	return domain.RestoreRecoveryGrant(s), nil
}

func (g grants) ByToken(_ context.Context, token domain.TokenDigest) (*domain.RecoveryGrant, error) {
	for _, s := range g.grants {
		if s.Token == token {
			return domain.RestoreRecoveryGrant(s), nil
		}
	}
	return nil, domain.ErrRecoveryGrantInvalid
}

func (g grants) Remove(_ context.Context, user domain.UserID) error {
	if err := g.writable(); err != nil {
		return err
	}
	delete(g.grants, user)
	g.removeStrandedChallenges()
	return nil
}

func (g grants) Take(ctx context.Context, token domain.TokenDigest) (*domain.RecoveryGrant, error) {
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

func (g grants) DeleteExpired(_ context.Context, expired time.Time, limit int) (int, error) {
	if err := g.writable(); err != nil {
		return 0, err
	}
	swept := sweep(g.grants, func(s domain.RecoveryGrantState) time.Time { return s.ExpiresAt }, expired, limit)
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
