package ratelimit

import (
	"sync"
	"time"
)

// rest is how long shared buckets that failed are left alone. Then one call asks them, and the others still do without.
const rest = 2 * time.Second

// circuit keeps a dead store from costing each call the time that it takes to find out.
type circuit struct {
	mu      sync.Mutex
	down    bool
	until   time.Time
	probing bool
}

// closed says whether this call may ask. Whoever may tells succeeded, failed or leave.
func (c *circuit) closed(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.down {
		return true
	}
	if c.probing || now.Before(c.until) {
		return false
	}
	c.probing = true
	return true
}

// succeeded reports whether that is news.
func (c *circuit) succeeded() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.down || !c.probing { // an answer from before the failure says nothing of afterwards
		return false
	}
	c.down, c.probing = false, false
	return true
}

// failed reports whether that is news.
func (c *circuit) failed(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	news := !c.down
	c.down, c.probing, c.until = true, false, now.Add(rest)
	return news
}

// leave is for a call that has learned nothing.
func (c *circuit) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.probing = false
}

// whole says whether the last answer was one.
func (c *circuit) whole() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.down
}
