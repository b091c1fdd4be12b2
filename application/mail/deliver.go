package mail

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Deliver sends what waits. A message is sent at least once: a server that stops between sending it and writing that down
// leaves it to be sent again, under the same id.
type Deliver struct {
	Policy domain.EmailPolicy
	Store  ports.Store
	Mailer ports.Mailer // nil where no mail is sent
	Sealer ports.Sealer
	Clock  ports.Clock
}

// Delivered says what became of the messages that were due.
type Delivered struct {
	Sent   int
	Failed []Failure
}

// Failure is a message that could not be sent.
type Failure struct {
	ID       domain.OutboxEmailID
	Kind     domain.EmailKind
	Attempts int
	GivenUp  bool // else it is tried again later
	Cause    error
}

// Execute sends one message after another until none is due, or no mail server can be talked with, which its Failed say and
// which is no error. Of several nodes that do this at once each sends other messages.
func (d *Deliver) Execute(ctx context.Context) (Delivered, error) {
	var delivered Delivered
	if !d.Policy.Enabled() {
		return delivered, nil
	}
	for ctx.Err() == nil {
		message, err := d.next(ctx)
		if err != nil || message == nil {
			return delivered, err
		}
		cause := d.send(ctx, message)
		if cause != nil && ctx.Err() != nil {
			break // interrupted, for all that is known sent; it is due again before long
		}
		givenUp, err := d.recordOutcome(context.WithoutCancel(ctx), message, cause)
		if err != nil {
			return delivered, err
		}
		if cause == nil {
			delivered.Sent++
			continue
		}
		is := message.State()
		delivered.Failed = append(delivered.Failed, Failure{is.ID, is.Kind, is.Attempts, givenUp, cause})
		if errors.Is(cause, domain.ErrUnavailable) {
			break
		}
	}
	return delivered, nil //nolint:nilerr // what could not be sent is in Failed
}

// next takes the message that is due for longest, or nil.
func (d *Deliver) next(ctx context.Context) (*domain.OutboxEmail, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	now := d.Clock.Now()
	anything := false
	err := d.Store.View(ctx, func(tx ports.Tx) error { // most of the time there is nothing, and nothing to write
		due, err := tx.OutboxEmails.ListDue(ctx, now, 1)
		anything = len(due) > 0
		return err
	})
	if err != nil || !anything {
		return nil, err
	}
	var message *domain.OutboxEmail
	err = d.Store.Update(ctx, func(tx ports.Tx) error {
		message = nil
		due, err := tx.OutboxEmails.ListDue(ctx, now, 1)
		if err != nil || len(due) == 0 {
			return err
		}
		message = due[0]
		message.BeginAttempt(now)
		return tx.OutboxEmails.Save(ctx, message)
	})
	return message, err
}

func (d *Deliver) send(ctx context.Context, message *domain.OutboxEmail) error {
	letter := ports.OutgoingEmail{Email: message.State()}
	if !d.Clock.Now().Before(letter.Email.ExpiresAt) {
		return fmt.Errorf("%w: it has expired", domain.ErrUndeliverable)
	}
	if sealed := letter.Email.Code; sealed != nil {
		code, err := d.Sealer.Open(sealed, additionalData(message.ID()))
		if err != nil {
			return fmt.Errorf("%w: its code cannot be read: %w", domain.ErrUndeliverable, err)
		}
		letter.Code = domain.NewSecret(string(code))
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	return d.Mailer.Send(ctx, letter)
}

// A letter is sent and noted in less than the time for which nobody else tries.
const (
	sendTimeout  = time.Minute
	storeTimeout = time.Minute // for a store that says nothing
)

func (d *Deliver) recordOutcome(ctx context.Context, message *domain.OutboxEmail, cause error) (givenUp bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	givenUp = cause != nil && (errors.Is(cause, domain.ErrUndeliverable) || !message.ScheduleRetry(d.Clock.Now()))
	err = d.Store.Update(ctx, func(tx ports.Tx) error {
		if cause == nil || givenUp {
			return tx.OutboxEmails.Remove(ctx, message.ID())
		}
		return tx.OutboxEmails.Save(ctx, message)
	})
	return givenUp, err
}
