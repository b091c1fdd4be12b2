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

	"github.com/keylodge/keylodge/application/access"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// TTL is how long a challenge may be answered.
type TTL time.Duration

// Desk issues challenges and takes them back.
type Desk struct {
	Store  ports.Store
	Clock  ports.Clock
	Random io.Reader
	TTL    TTL
}

// Started is a ceremony under way, as its client sees it.
type Started struct {
	ChallengeID domain.ChallengeID
	Options     json.RawMessage
	ExpiresAt   time.Time
}

// Start keeps the server's side of a ceremony. Applicant is nil unless somebody signs up.
func (d *Desk) Start(ctx context.Context, purpose domain.Purpose, by domain.Respondent, c ports.Ceremony, applicant *domain.Applicant) (Started, error) {
	challenge, err := domain.NewChallenge(purpose, by, c.State, applicant, time.Duration(d.TTL), d.Clock.Now(), d.Random)
	if err != nil {
		return Started{}, err
	}
	err = d.Store.Update(ctx, func(tx ports.Tx) error {
		if err := stillThere(ctx, tx, by); err != nil {
			return err
		}
		return tx.Challenges.Add(ctx, challenge)
	})
	if err != nil {
		return Started{}, err
	}
	return Started{ChallengeID: challenge.ID(), Options: c.Options, ExpiresAt: challenge.ExpiresAt()}, nil
}

// stillThere looks whether what begins a ceremony, a session or a grant, has not ended or been removed with its user
// meanwhile.
func stillThere(ctx context.Context, tx ports.Tx, by domain.Respondent) error {
	if by.Grant != (domain.TokenDigest{}) {
		if _, err := tx.Grants.ByToken(ctx, by.Grant); err != nil {
			return err
		}
	}
	if by.Session.IsZero() {
		return nil
	}
	_, err := tx.Sessions.ByID(ctx, by.Session)
	if errors.Is(err, domain.ErrSessionNotFound) {
		return domain.ErrSessionRevoked
	}
	return err
}

// Look returns the challenge if it may be answered now, and the state of its ceremony. It takes nothing.
func (d *Desk) Look(ctx context.Context, tx ports.Tx, id domain.ChallengeID, purpose domain.Purpose, by domain.Respondent, now time.Time) (*domain.Challenge, []byte, error) {
	challenge, err := tx.Challenges.ByID(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	state, err := challenge.Redeem(purpose, by, now)
	return challenge, state, err
}

// Refuse spends the challenge of an answer that was refused because of cause, enters the event in the log if there is one,
// and returns cause. It does so in a unit of work of its own: a challenge taken in the one that failed would be alive again
// after its rollback, for another guess.
//
// An outage or a caller who went away refused nothing: the same answer may come again.
func (d *Desk) Refuse(ctx context.Context, id domain.ChallengeID, event *domain.Event, cause error) error {
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
		_, err := access.Keep(ctx, tx, event)
		return err
	})
	if err != nil && !errors.Is(err, domain.ErrChallengeNotFound) {
		// The attempt could come again: the fault counts, whatever became of the answer.
		return fmt.Errorf("spending the challenge: %w (its answer was refused: %s)", err, cause.Error())
	}
	return cause
}
