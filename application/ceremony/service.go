// Package ceremony issues the challenges of WebAuthn ceremonies and consumes each with its first response, whether that is
// accepted or rejected.
package ceremony

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// TTL is the lifetime of a challenge.
type TTL time.Duration

// Service issues challenges and consumes them.
type Service struct {
	Store  ports.Store
	Clock  ports.Clock
	Random io.Reader
	TTL    TTL

	issued issuedChallenges
}

// Begun are the options of a ceremony, with the id and the expiry of its challenge.
type Begun struct {
	ChallengeID domain.ChallengeID
	Options     json.RawMessage
	ExpiresAt   time.Time
}

// Begin stores a new challenge with the ceremony's state. User is nil except at sign-up. It returns
// domain.ErrSessionRevoked or domain.ErrRecoveryGrantInvalid if the session or recovery grant of by no longer exists.
func (s *Service) Begin(ctx context.Context, purpose domain.Purpose, by domain.ChallengeContext, c ports.CeremonyOptions, user *domain.PendingUser) (Begun, error) {
	challenge := domain.NewChallenge(purpose, by, c.State, user, time.Duration(s.TTL), s.Clock.Now(), s.Random)
	err := s.Store.Update(ctx, func(tx ports.Tx) error {
		if err := requireSessionOrGrant(ctx, tx, by); err != nil {
			return err
		}
		return tx.Challenges.Add(ctx, challenge)
	})
	if err != nil {
		return Begun{}, err
	}
	s.issued.put(challenge, by)
	return Begun{ChallengeID: challenge.ID(), Options: c.Options, ExpiresAt: challenge.ExpiresAt()}, nil
}

// requireSessionOrGrant returns an error if the session or recovery grant that a ceremony begins in was removed meanwhile,
// for example with its user.
func requireSessionOrGrant(ctx context.Context, tx ports.Tx, by domain.ChallengeContext) error {
	if by.RecoveryGrant != (domain.TokenDigest{}) {
		if _, err := tx.RecoveryGrants.ByToken(ctx, by.RecoveryGrant); err != nil {
			return err
		}
	}
	if by.SessionID.IsZero() {
		return nil
	}
	_, err := tx.Sessions.ByID(ctx, by.SessionID)
	if errors.Is(err, domain.ErrSessionNotFound) {
		return domain.ErrSessionRevoked
	}
	return err
}
