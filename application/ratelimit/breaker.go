package ratelimit

import (
	"sync"
	"time"
)

// openDuration is how long shared buckets that failed are left alone. Then one call asks them, and the others still do without.
const openDuration = 2 * time.Second

// breaker keeps a dead store from costing each call the time that it takes to find out.
type breaker struct {
	mu      sync.Mutex
	open    bool
	retryAt time.Time
	probing bool
}

// allow says whether this call may ask. Whoever may tells succeeded, failed or leave.
func (c *breaker) allow(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.open {
		return true
	}
	if c.probing || now.Before(c.retryAt) {
		return false
	}
	c.probing = true
	return true
}

// succeeded reports whether that is news.
func (c *breaker) succeeded() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.open || !c.probing { // an answer from before the failure says nothing of afterwards
		return false
	}
	c.open, c.probing = false, false
	return true
}

// failed reports whether that is news.
func (c *breaker) failed(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	news := !c.open
	c.open, c.probing, c.retryAt = true, false, now.Add(openDuration)
	return news
}

// release is for a call that has learned nothing.
func (c *breaker) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.probing = false
}

// healthy says whether the last answer was one.
func (c *breaker) healthy() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.open
}
