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
	if err := tx.Events.Add(ctx, event); err != nil {
		return err
	}
	return l.notify(ctx, tx, event, now)
}

// EnterNameless keeps something that nobody can be told of. The visitor is looked at all the same and forgotten, so that
// it takes no less time than Enter.
func (l *SecurityLog) EnterNameless(ctx context.Context, tx ports.Tx, visitor Visitor, now time.Time, e domain.EventSnapshot) error {
	l.device(visitor)
	event, err := l.next(e, now)
	if err != nil {
		return err
	}
	return tx.Events.Add(ctx, event)
}

func (l *SecurityLog) event(visitor Visitor, now time.Time, e domain.EventSnapshot) (*domain.Event, error) {
	if e.By != domain.ByOperator {
		device := l.device(visitor)
		e.DeviceName, e.IP, e.RequestID = device.Name, device.IP, visitor.RequestID
	}
	return l.next(e, now)
}

func (l *SecurityLog) next(e domain.EventSnapshot, now time.Time) (*domain.Event, error) {
	event, err := domain.NewEvent(e, now, l.Random)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	event = event.After(l.last)
	l.last = event.ID()
	return event, nil
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

// RefusedNameless is Refused for an attempt that was nobody's, and does as much as that.
func (l *SecurityLog) RefusedNameless(visitor Visitor, now time.Time, e domain.EventSnapshot, cause error) (*domain.Event, error) {
	if e.Reason = string(domain.ReasonOf(cause)); e.Reason == "" {
		return nil, nil
	}
	l.device(visitor)
	return l.next(e, now)
}

func (l *SecurityLog) device(visitor Visitor) domain.Device {
	device := domain.NewDevice(visitor.UserAgent, visitor.IP)
	device.Name = l.Devices.NameOf(device.UserAgent)
	return device
}
