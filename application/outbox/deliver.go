// Package outbox delivers queued e-mails.
package outbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Service sends the e-mails of the outbox.
type Service struct {
	Policy domain.EmailPolicy
	Store  ports.Store
	Mailer ports.Mailer // nil if the server sends no e-mail
	Sealer ports.Sealer
	Clock  ports.Clock
}

// Delivered is the result of Deliver.
type Delivered struct {
	Sent   int
	Failed []Failure
}

// Failure is an e-mail that could not be sent.
type Failure struct {
	ID       domain.OutboxEmailID
	Kind     domain.EmailKind
	Attempts int
	GivenUp  bool // false if it is retried later
	Cause    error
}

// Deliver sends the e-mails that are due, the longest due first, until none is left or the mail server is unavailable, which is
// reported in Failed and not as an error. Nodes that run Deliver at the same time send different e-mails.
//
// Delivery is at least once: an e-mail is sent again, under the same id, if the server stops after the mail server accepted it and
// before the store recorded that.
func (s *Service) Deliver(ctx context.Context) (Delivered, error) {
	var delivered Delivered
	if !s.Policy.Enabled() {
		return delivered, nil
	}
	for ctx.Err() == nil {
		email, err := s.next(ctx)
		if err != nil || email == nil {
			return delivered, err
		}
		cause := s.send(ctx, email)
		if cause != nil && ctx.Err() != nil {
			break // interrupted, perhaps after it was sent: it is due again when the attempt times out
		}
		givenUp, err := s.recordOutcome(context.WithoutCancel(ctx), email, cause)
		if err != nil {
			return delivered, err
		}
		if cause == nil {
			delivered.Sent++
			continue
		}
		state := email.State()
		delivered.Failed = append(delivered.Failed, Failure{state.ID, state.Kind, state.Attempts, givenUp, cause})
		if errors.Is(cause, domain.ErrUnavailable) {
			break
		}
	}
	return delivered, nil //nolint:nilerr // failures are in Failed
}

// next begins the attempt to send the e-mail that has been due the longest. It returns nil if none is due.
func (s *Service) next(ctx context.Context) (*domain.OutboxEmail, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	now := s.Clock.Now()
	anyDue := false
	err := s.Store.View(ctx, func(tx ports.Tx) error { // usually none is due: avoid a write transaction
		due, err := tx.OutboxEmails.ListDue(ctx, now, 1)
		anyDue = len(due) > 0
		return err
	})
	if err != nil || !anyDue {
		return nil, err
	}
	var email *domain.OutboxEmail
	err = s.Store.Update(ctx, func(tx ports.Tx) error {
		email = nil
		due, err := tx.OutboxEmails.ListDue(ctx, now, 1)
		if err != nil || len(due) == 0 {
			return err
		}
		email = due[0]
		email.BeginAttempt(now)
		return tx.OutboxEmails.Save(ctx, email)
	})
	return email, err
}

func (s *Service) send(ctx context.Context, email *domain.OutboxEmail) error {
	outgoing := ports.OutgoingEmail{Email: email.State()}
	if !s.Clock.Now().Before(outgoing.Email.ExpiresAt) {
		return fmt.Errorf("%w: the e-mail has expired", domain.ErrUndeliverable)
	}
	if encrypted := outgoing.Email.Code; encrypted != nil {
		var err error
		if outgoing.Code, err = decryptCode(s.Sealer, email.ID(), encrypted); err != nil {
			return fmt.Errorf("%w: its code cannot be decrypted: %w", domain.ErrUndeliverable, err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	return s.Mailer.Send(ctx, outgoing)
}

// The sum of these timeouts is less than the time after which an attempt of domain.OutboxEmail.BeginAttempt is due again, so that no
// other node sends the same e-mail meanwhile.
const (
	sendTimeout  = time.Minute
	storeTimeout = time.Minute
)

func (s *Service) recordOutcome(ctx context.Context, email *domain.OutboxEmail, cause error) (givenUp bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	givenUp = cause != nil && (errors.Is(cause, domain.ErrUndeliverable) || !email.ScheduleRetry(s.Clock.Now()))
	err = s.Store.Update(ctx, func(tx ports.Tx) error {
		if cause == nil || givenUp {
			return tx.OutboxEmails.Remove(ctx, email.ID())
		}
		return tx.OutboxEmails.Save(ctx, email)
	})
	return givenUp, err
}
