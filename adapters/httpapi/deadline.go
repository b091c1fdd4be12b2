package httpapi

import (
	"context"
	"sync"
	"time"
)

// deadline is a context that ends at a time. Unlike that of context.WithDeadline, it starts no timer until something waits for its
// end: most requests never wait.
type deadline struct {
	at      time.Time
	mu      sync.Mutex
	started context.Context // nil until something waits
	cancel  context.CancelFunc
	over    bool
}

// The method AfterFunc is optional: without it, package context starts a goroutine for each derived context.
var _ interface {
	context.Context
	AfterFunc(f func()) (stop func() bool)
} = (*deadline)(nil)

// start returns the context with the timer.
func (d *deadline) start() context.Context {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.started == nil {
		d.started, d.cancel = context.WithDeadline(context.Background(), d.at)
		if d.over {
			d.cancel()
		}
	}
	return d.started
}

// end cancels the context.
func (d *deadline) end() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.over = true
	if d.cancel != nil {
		d.cancel()
	}
}

// Deadline implements context.Context.
func (d *deadline) Deadline() (time.Time, bool) { return d.at, true }

// Done implements context.Context.
func (d *deadline) Done() <-chan struct{} { return d.start().Done() }

// Value implements context.Context. It has no values.
func (d *deadline) Value(any) any { return nil }

// AfterFunc calls f when the context has ended (context.AfterFunc).
func (d *deadline) AfterFunc(f func()) (stop func() bool) { return context.AfterFunc(d.start(), f) }

// Err implements context.Context.
func (d *deadline) Err() error {
	d.mu.Lock()
	waiting := d.started == nil && !d.over && time.Now().Before(d.at)
	d.mu.Unlock()
	if waiting {
		return nil
	}
	return d.start().Err()
}
