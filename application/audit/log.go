// Package audit records security events in the transaction of the change that they describe.
package audit

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/notify"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Log records security events and queues their notifications.
type Log struct {
	Random   io.Reader
	Devices  ports.DeviceNames
	Notifier notify.Notifier

	mu     sync.Mutex
	lastID domain.EventID
}

// Record stores an event of the client, with its device, IP address and request id unless the operator is the actor, and
// queues its notification. A repetition of a stored event is counted there and queues none.
func (l *Log) Record(ctx context.Context, tx ports.Tx, client identity.Client, now time.Time, e domain.EventState) error {
	event := l.newEvent(client, now, e)
	if added, err := StoreEvent(ctx, tx, event); err != nil || !added {
		return err
	}
	return l.Notifier.Recorded(ctx, tx, event, now)
}

// StoreEvent stores an event inside a transaction. A repetition is counted in the event that it repeats; added reports
// whether the event was stored as one of its own.
func StoreEvent(ctx context.Context, tx ports.Tx, event *domain.Event) (added bool, err error) {
	if event.Key().IsZero() {
		return true, tx.Events.Add(ctx, event)
	}
	earlier, err := tx.Events.ByKey(ctx, event.Key())
	if errors.Is(err, domain.ErrEventNotFound) {
		return true, tx.Events.Add(ctx, event)
	}
	if err != nil {
		return false, err
	}
	earlier.AddRepetition(event)
	return false, tx.Events.Save(ctx, earlier)
}

// RecordAnonymous stores an event about a name without an account, with the same work as Record: a client must not be able to
// tell from the time whether the account exists. The event has no device and no IP address.
func (l *Log) RecordAnonymous(ctx context.Context, tx ports.Tx, client identity.Client, now time.Time, e domain.EventState, about domain.LockoutSubject) error {
	_, err := StoreEvent(ctx, tx, l.newAnonymousEvent(client, now, e, about))
	return err
}

// Failure returns the event of an attempt that failed because of cause, if the account's owner should know: a rejected
// passkey response, or one that the account's state forbids. It returns nil for any other cause, such as an outage or an
// expired challenge.
func (l *Log) Failure(client identity.Client, now time.Time, e domain.EventState, cause error) *domain.Event {
	e.Reason = string(domain.ReasonOf(cause))
	var rule *domain.Error
	if e.Reason == "" && errors.As(cause, &rule) && rule.Kind == domain.KindForbidden {
		e.Reason = rule.Code
	}
	if e.Reason == "" || e.UserID.IsZero() {
		return nil
	}
	return l.newEvent(client, now, e)
}

// FailureAnonymous is Failure for an attempt with a name or a passkey without an account. It does the same work.
func (l *Log) FailureAnonymous(client identity.Client, now time.Time, e domain.EventState, cause error, about domain.LockoutSubject) *domain.Event {
	if e.Reason = string(domain.ReasonOf(cause)); e.Reason == "" {
		return nil
	}
	return l.newAnonymousEvent(client, now, e, about)
}

func (l *Log) newEvent(client identity.Client, now time.Time, e domain.EventState) *domain.Event {
	return l.withMonotonicID(domain.NewEvent(client.Describe(e, l.Devices), now, l.Random))
}

func (l *Log) newAnonymousEvent(client identity.Client, now time.Time, e domain.EventState, about domain.LockoutSubject) *domain.Event {
	// The first look-up of a User-Agent takes about a millisecond, which the minimum response time does not hide while the
	// server is so busy that responses take longer.
	client.Device(l.Devices)
	return l.withMonotonicID(domain.NewAnonymousEvent(e, about, now, l.Random))
}

// withMonotonicID returns the event with an id that sorts after those of all earlier events. Events of one transaction have the same
// time, so that only their ids keep the order in which they were recorded.
func (l *Log) withMonotonicID(event *domain.Event) *domain.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	event = event.WithIDAfter(l.lastID)
	l.lastID = event.ID()
	return event
}
