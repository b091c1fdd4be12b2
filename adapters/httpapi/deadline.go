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

// Value implements context.Context. It lets package context find the context with the timer, so that a derived context needs no
// goroutine.
func (d *deadline) Value(key any) any { return d.start().Value(key) }

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
