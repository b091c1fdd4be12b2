// Package ceremony is what all ceremonies share: a challenge is issued, looked at while its answer is verified, and spent
// by that answer, whatever becomes of it.
package ceremony

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/keylodge/keylodge/application/audit"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// TTL is how long a challenge may be answered.
type TTL time.Duration

// Challenges issues challenges and takes them back.
type Challenges struct {
	Store  ports.Store
	Clock  ports.Clock
	Random io.Reader
	TTL    TTL
}

// Begun is a ceremony under way, as its client sees it.
type Begun struct {
	ChallengeID domain.ChallengeID
	Options     json.RawMessage
	ExpiresAt   time.Time
}

// Begin keeps the server's side of a ceremony. Applicant is nil unless somebody signs up.
func (d *Challenges) Begin(ctx context.Context, purpose domain.Purpose, by domain.ChallengeContext, c ports.CeremonyOptions, applicant *domain.PendingUser) (Begun, error) {
	challenge, err := domain.NewChallenge(purpose, by, c.State, applicant, time.Duration(d.TTL), d.Clock.Now(), d.Random)
	if err != nil {
		return Begun{}, err
	}
	err = d.Store.Update(ctx, func(tx ports.Tx) error {
		if err := requireSessionOrGrant(ctx, tx, by); err != nil {
			return err
		}
		return tx.Challenges.Add(ctx, challenge)
	})
	if err != nil {
		return Begun{}, err
	}
	return Begun{ChallengeID: challenge.ID(), Options: c.Options, ExpiresAt: challenge.ExpiresAt()}, nil
}

// requireSessionOrGrant looks whether what begins a ceremony, a session or a grant, has not ended or been removed with its user
// meanwhile.
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

// Peek returns the challenge if it may be answered now, and the state of its ceremony. It takes nothing.
func (d *Challenges) Peek(ctx context.Context, tx ports.Tx, id domain.ChallengeID, purpose domain.Purpose, by domain.ChallengeContext, now time.Time) (*domain.Challenge, []byte, error) {
	challenge, err := tx.Challenges.ByID(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	state, err := challenge.Redeem(purpose, by, now)
	return challenge, state, err
}

// Fail spends the challenge of an answer that was refused because of cause, enters the event in the log if there is one,
// and returns cause. It does so in a unit of work of its own: a challenge taken in the one that failed would be alive again
// after its rollback, for another guess.
//
// An outage or a caller who went away refused nothing: the same answer may come again.
func (d *Challenges) Fail(ctx context.Context, id domain.ChallengeID, event *domain.Event, cause error) error {
	if errors.Is(cause, domain.ErrUnavailable) || ctx.Err() != nil && errors.Is(cause, ctx.Err()) {
		return cause
	}
	ctx = context.WithoutCancel(ctx)
	err := d.Store.Update(ctx, func(tx ports.Tx) error {
		if _, err := tx.Challenges.Take(ctx, id); err != nil || event == nil {
			return err
		}
		if _, err := tx.Users.ByID(ctx, event.UserID()); errors.Is(err, domain.ErrUserNotFound) {
			if !event.UserID().IsZero() {
				return nil // the account is gone, and nobody left to tell
			}
		} else if err != nil {
			return err
		}
		_, err := audit.StoreEvent(ctx, tx, event)
		return err
	})
	if err != nil && !errors.Is(err, domain.ErrChallengeNotFound) {
		// The attempt could come again: the fault counts, whatever became of the answer.
		return fmt.Errorf("spending the challenge: %w (its answer was refused: %s)", err, cause.Error())
	}
	return cause
}
