package ceremony

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/keylodge/keylodge/application/audit"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Answer is a client's response to a challenge, with the steps of its ceremony.
type Answer struct {
	ChallengeID domain.ChallengeID
	Purpose     domain.Purpose
	By          domain.ChallengeContext // of the client that responds

	// Load reads further data for Verify, in the transaction that reads the challenge. It may be nil.
	Load func(tx ports.Tx) error
	// Verify verifies the response with the ceremony's state, outside a transaction.
	Verify func(challenge *domain.Challenge, state []byte) error
	// Commit stores the result, in the transaction that has just consumed the challenge.
	Commit func(tx ports.Tx) error
	// Failure returns the event of an attempt that failed because of cause, or nil to record none. It may be nil.
	Failure func(cause error) *domain.Event
}

// Finish ends a ceremony. The challenge is consumed by the first response, whether Finish succeeds or fails: by the transaction
// of Commit, or else, with the event of the failure, by one of its own (see Reject). Finish returns the error of Load, Verify
// or Commit, domain.ErrChallengeNotFound, also for a challenge of another purpose, browser, session or recovery grant, or
// domain.ErrChallengeExpired.
func (s *Service) Finish(ctx context.Context, a Answer, now time.Time) error {
	err := s.finish(ctx, a, now)
	if err == nil {
		return nil
	}
	var event *domain.Event
	if a.Failure != nil {
		event = a.Failure(err)
	}
	return s.reject(ctx, a.ChallengeID, event, err)
}

func (s *Service) finish(ctx context.Context, a Answer, now time.Time) error {
	var challenge *domain.Challenge
	var state []byte
	err := s.Store.View(ports.WithoutSnapshot(ctx), func(tx ports.Tx) (err error) {
		if challenge, err = s.issued.find(ctx, tx, a.ChallengeID, now); err != nil {
			return err
		}
		if state, err = challenge.Redeem(a.Purpose, a.By, now); err != nil || a.Load == nil {
			return err
		}
		return a.Load(tx)
	})
	if err != nil {
		return err
	}
	if err := a.Verify(challenge, state); err != nil {
		return err
	}
	return s.Store.Update(ctx, func(tx ports.Tx) error {
		// Before everything else: of concurrent responses only the one that consumes the challenge writes.
		if err := tx.Challenges.Consume(ctx, a.ChallengeID); err != nil {
			return err
		}
		return a.Commit(tx)
	})
}

// Reject consumes the challenge of a response that cannot be verified, for example a malformed one, and returns cause. If
// cause is an outage or the end of ctx, it consumes nothing, and the client may send the same response again.
func (s *Service) Reject(ctx context.Context, id domain.ChallengeID, cause error) error {
	return s.reject(ctx, id, nil, cause)
}

// reject consumes the challenge in a transaction of its own, since the failed one was rolled back. It records the event only
// if it consumes the challenge, so that a challenge adds at most one event.
func (s *Service) reject(ctx context.Context, id domain.ChallengeID, event *domain.Event, cause error) error {
	if errors.Is(cause, domain.ErrUnavailable) || ctx.Err() != nil && errors.Is(cause, ctx.Err()) {
		return cause
	}
	ctx = context.WithoutCancel(ctx)
	err := s.Store.Update(ctx, func(tx ports.Tx) error {
		if err := tx.Challenges.Consume(ctx, id); err != nil || event == nil {
			return err
		}
		if _, err := tx.Users.ByID(ctx, event.UserID()); errors.Is(err, domain.ErrUserNotFound) {
			if !event.UserID().IsZero() {
				return nil // the account was deleted meanwhile
			}
		} else if err != nil {
			return err
		}
		_, err := audit.StoreEvent(ctx, tx, event)
		return err
	})
	if err != nil && !errors.Is(err, domain.ErrChallengeNotFound) {
		// The challenge is still valid, so this error takes precedence.
		return fmt.Errorf("consuming the challenge of a rejected response: %w (the response: %s)", err, cause.Error())
	}
	return cause
}
