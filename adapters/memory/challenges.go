package memory

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/keylodge/keylodge/domain"
)

type challenges struct{ state }

func (c challenges) Add(_ context.Context, challenge *domain.Challenge) error {
	if err := c.writable(); err != nil {
		return err
	}
	s := challenge.State()
	if _, found := c.challenges[s.ID]; found {
		return fmt.Errorf("there is a challenge %s already", s.ID)
	}
	if _, found := c.sessions[s.SessionID]; !found && !s.SessionID.IsZero() {
		return fmt.Errorf("the challenge's session %s is not there", s.SessionID)
	}
	if !c.hasGrant(s.RecoveryGrant) && s.RecoveryGrant != (domain.TokenDigest{}) {
		return fmt.Errorf("the grant of challenge %s is not there", s.ID)
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

func (c challenges) DeleteExpired(_ context.Context, expired time.Time, limit int) (int, error) {
	if err := c.writable(); err != nil {
		return 0, err
	}
	return sweep(c.challenges, func(s domain.ChallengeState) time.Time { return s.ExpiresAt }, expired, limit), nil
}

// removeStrandedChallenges takes away the challenges whose session or grant is gone, since nobody can answer them any more.
func (s state) removeStrandedChallenges() {
	maps.DeleteFunc(s.challenges, func(_ domain.ChallengeID, c domain.ChallengeState) bool {
		_, found := s.sessions[c.SessionID]
		return !found && !c.SessionID.IsZero() || !s.hasGrant(c.RecoveryGrant) && c.RecoveryGrant != (domain.TokenDigest{})
	})
}
