package access

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// AuditLog keeps the events, each in the unit of work of what it tells of, and, where the server sends mail, has an
// account's owner told of those that change who can open it.
type AuditLog struct {
	Random  io.Reader
	Devices ports.DeviceNames
	Mail    domain.EmailPolicy

	mu     sync.Mutex
	lastID domain.EventID
}

// Record keeps something that a visitor did. Where from is added to what e says, unless the operator did it.
func (l *AuditLog) Record(ctx context.Context, tx ports.Tx, visitor Client, now time.Time, e domain.EventState) error {
	event, err := l.newEvent(visitor, now, e)
	if err != nil {
		return err
	}
	if added, err := StoreEvent(ctx, tx, event); err != nil || !added {
		return err // of a repetition no notice is sent
	}
	return l.notifyOwner(ctx, tx, event, now)
}

// StoreEvent records an event inside a unit of work. A repetition is counted in the entry that it repeats; added reports whether
// the event is an entry of its own.
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

// RecordAnonymous keeps something about a name that belongs to no account. The visitor is looked at all the same and
// forgotten, so that it takes no less time than Enter.
func (l *AuditLog) RecordAnonymous(ctx context.Context, tx ports.Tx, visitor Client, now time.Time, e domain.EventState, about domain.LockoutSubject) error {
	l.device(visitor)
	event, err := domain.NewAnonymousEvent(e, about, now, l.Random)
	if err != nil {
		return err
	}
	_, err = StoreEvent(ctx, tx, l.withMonotonicID(event))
	return err
}

func (l *AuditLog) newEvent(visitor Client, now time.Time, e domain.EventState) (*domain.Event, error) {
	if e.Actor != domain.ActorOperator {
		device := l.device(visitor)
		e.DeviceName, e.IP, e.RequestID = device.Name, device.IP, visitor.RequestID
	}
	event, err := domain.NewEvent(e, now, l.Random)
	if err != nil {
		return nil, err
	}
	return l.withMonotonicID(event), nil
}

// withMonotonicID returns the event with an id that sorts after those of all before.
func (l *AuditLog) withMonotonicID(event *domain.Event) *domain.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	event = event.WithIDAfter(l.lastID)
	l.lastID = event.ID()
	return event
}

// Failure is an attempt that failed because of cause, if that is something for the account's owner to know: a passkey's
// answer that was not accepted, or one that the account's state forbids. For anything else, such as an outage or an
// attempt that was too late, it returns nil.
func (l *AuditLog) Failure(visitor Client, now time.Time, e domain.EventState, cause error) (*domain.Event, error) {
	e.Reason = string(domain.ReasonOf(cause))
	var broken *domain.Error
	if e.Reason == "" && errors.As(cause, &broken) && broken.Kind == domain.KindForbidden {
		e.Reason = broken.Code
	}
	if e.Reason == "" || e.UserID.IsZero() {
		return nil, nil
	}
	return l.newEvent(visitor, now, e)
}

// FailureAnonymous is Refused for an attempt about a name or a passkey that belongs to no account, and does as much as that.
func (l *AuditLog) FailureAnonymous(visitor Client, now time.Time, e domain.EventState, cause error, about domain.LockoutSubject) (*domain.Event, error) {
	if e.Reason = string(domain.ReasonOf(cause)); e.Reason == "" {
		return nil, nil
	}
	l.device(visitor)
	event, err := domain.NewAnonymousEvent(e, about, now, l.Random)
	if err != nil {
		return nil, err
	}
	return l.withMonotonicID(event), nil
}

func (l *AuditLog) device(visitor Client) domain.Device {
	device := domain.NewDevice(visitor.UserAgent, visitor.IP)
	device.Name = l.Devices.NameOf(device.UserAgent)
	return device
}
