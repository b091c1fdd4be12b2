package ratelimit

import (
	"sync"
	"time"
)

// openDuration is the time from a failure of the shared buckets until one request tries them again.
const openDuration = 2 * time.Second

// breaker is a circuit breaker. While the shared buckets are unavailable, only one request at a time waits for them.
type breaker struct {
	mu      sync.Mutex
	open    bool
	retryAt time.Time
	probing bool
}

// allow reports whether this request may use the shared buckets. If so, the caller must call succeeded, failed or release.
func (b *breaker) allow(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.open {
		return true
	}
	if b.probing || now.Before(b.retryAt) {
		return false
	}
	b.probing = true
	return true
}

// succeeded closes the breaker after a probe. It reports whether the breaker was open.
func (b *breaker) succeeded() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.open || !b.probing { // a request that began before the failure does not close the breaker
		return false
	}
	b.open, b.probing = false, false
	return true
}

// failed opens the breaker. It reports whether the breaker was closed.
func (b *breaker) failed(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	opened := !b.open
	b.open, b.probing, b.retryAt = true, false, now.Add(openDuration)
	return opened
}

// release ends a request without a result, so that the next request can be the probe.
func (b *breaker) release() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probing = false
}

// healthy reports whether the breaker is closed.
func (b *breaker) healthy() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.open
}
