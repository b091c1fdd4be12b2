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

// SecurityLog keeps the events, each in the unit of work of what it tells of, and, where the server sends mail, has an
// account's owner told of those that change who can open it.
type SecurityLog struct {
	Random  io.Reader
	Devices ports.DeviceNames
	Mail    domain.MailPolicy

	mu   sync.Mutex
	last domain.EventID
}

// Enter keeps something that a visitor did. Where from is added to what e says, unless the operator did it.
func (l *SecurityLog) Enter(ctx context.Context, tx ports.Tx, visitor Visitor, now time.Time, e domain.EventSnapshot) error {
	event, err := l.event(visitor, now, e)
	if err != nil {
		return err
	}
	if added, err := Keep(ctx, tx, event); err != nil || !added {
		return err // of a repetition no notice is sent
	}
	return l.notify(ctx, tx, event, now)
}

// Keep records an event inside a unit of work. A repetition is counted in the entry that it repeats; added reports whether
// the event is an entry of its own.
func Keep(ctx context.Context, tx ports.Tx, event *domain.Event) (added bool, err error) {
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
	earlier.Repeat(event)
	return false, tx.Events.Save(ctx, earlier)
}

// EnterNameless keeps something about a name that belongs to no account. The visitor is looked at all the same and
// forgotten, so that it takes no less time than Enter.
func (l *SecurityLog) EnterNameless(ctx context.Context, tx ports.Tx, visitor Visitor, now time.Time, e domain.EventSnapshot, about domain.LockoutSubject) error {
	l.device(visitor)
	event, err := domain.NewNamelessEvent(e, about, now, l.Random)
	if err != nil {
		return err
	}
	_, err = Keep(ctx, tx, l.inOrder(event))
	return err
}

func (l *SecurityLog) event(visitor Visitor, now time.Time, e domain.EventSnapshot) (*domain.Event, error) {
	if e.By != domain.ByOperator {
		device := l.device(visitor)
		e.DeviceName, e.IP, e.RequestID = device.Name, device.IP, visitor.RequestID
	}
	event, err := domain.NewEvent(e, now, l.Random)
	if err != nil {
		return nil, err
	}
	return l.inOrder(event), nil
}

// inOrder returns the event with an id that sorts after those of all before.
func (l *SecurityLog) inOrder(event *domain.Event) *domain.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	event = event.After(l.last)
	l.last = event.ID()
	return event
}

// Refused is an attempt that failed because of cause, if that is something for the account's owner to know: a passkey's
// answer that was not accepted, or one that the account's state forbids. For anything else, such as an outage or an
// attempt that was too late, it returns nil.
func (l *SecurityLog) Refused(visitor Visitor, now time.Time, e domain.EventSnapshot, cause error) (*domain.Event, error) {
	e.Reason = string(domain.ReasonOf(cause))
	var broken *domain.Error
	if e.Reason == "" && errors.As(cause, &broken) && broken.Kind == domain.KindForbidden {
		e.Reason = broken.Code
	}
	if e.Reason == "" || e.UserID.IsZero() {
		return nil, nil
	}
	return l.event(visitor, now, e)
}

// RefusedNameless is Refused for an attempt about a name or a passkey that belongs to no account, and does as much as that.
func (l *SecurityLog) RefusedNameless(visitor Visitor, now time.Time, e domain.EventSnapshot, cause error, about domain.LockoutSubject) (*domain.Event, error) {
	if e.Reason = string(domain.ReasonOf(cause)); e.Reason == "" {
		return nil, nil
	}
	l.device(visitor)
	event, err := domain.NewNamelessEvent(e, about, now, l.Random)
	if err != nil {
		return nil, err
	}
	return l.inOrder(event), nil
}

func (l *SecurityLog) device(visitor Visitor) domain.Device {
	device := domain.NewDevice(visitor.UserAgent, visitor.IP)
	device.Name = l.Devices.NameOf(device.UserAgent)
	return device
}
