package access

import (
	"errors"
	"io"
	"sync"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// SecurityLog words the events that use cases keep, each in the unit of work of what it tells of.
type SecurityLog struct {
	Random  io.Reader
	Devices ports.DeviceNames

	mu   sync.Mutex
	last domain.EventID
}

// Event is something that a visitor did. Where from is added to what e says, unless the operator did it.
func (l *SecurityLog) Event(visitor Visitor, now time.Time, e domain.EventSnapshot) (*domain.Event, error) {
	if e.By != domain.ByOperator {
		device := l.device(visitor)
		e.DeviceName, e.IP, e.RequestID = device.Name, device.IP, visitor.RequestID
	}
	return l.enter(e, now)
}

func (l *SecurityLog) enter(e domain.EventSnapshot, now time.Time) (*domain.Event, error) {
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

// Nameless is something that nobody can be told of.
func (l *SecurityLog) Nameless(now time.Time, e domain.EventSnapshot) (*domain.Event, error) {
	return l.enter(e, now)
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
	return l.Event(visitor, now, e)
}

func (l *SecurityLog) device(visitor Visitor) domain.Device {
	device := domain.NewDevice(visitor.UserAgent, visitor.IP)
	device.Name = l.Devices.NameOf(device.UserAgent)
	return device
}
