// Package development has the parts of `keylodge dev`: a clock that can be moved, a mailbox that keeps e-mails instead of sending
// them, and a page for both. No server for real accounts uses it.
package development

import (
	"sync/atomic"
	"time"

	"github.com/keylodge/keylodge/ports"
)

// Clock is a ports.Clock that is ahead of another one. It is safe for concurrent use.
type Clock struct {
	base  ports.Clock
	ahead atomic.Int64 // nanoseconds
}

var _ ports.Clock = (*Clock)(nil)

// NewClock returns a clock with the time of base.
func NewClock(base ports.Clock) *Clock { return &Clock{base: base} }

// Now implements ports.Clock.
func (c *Clock) Now() time.Time { return c.base.Now().Add(c.Ahead()) }

// Ahead returns how far the clock is ahead.
func (c *Clock) Ahead() time.Duration { return time.Duration(c.ahead.Load()) }

// Advance moves the clock forward. It never goes back: times in the database would be in the future.
func (c *Clock) Advance(by time.Duration) { c.ahead.Add(int64(max(by, 0))) }
