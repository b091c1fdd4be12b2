package ratelimit

import (
	"sync"
	"time"

	"github.com/keylodge/keylodge/domain"
)

// maxDenied bounds the memory of the cache to some hundred kilobytes. Buckets beyond it are read from the shared store.
const maxDenied = 4096

// denyCache keeps the shared buckets that were empty until they can have a token. Without it, a client that floods the server
// causes one query per request, which slows down other requests on PostgreSQL (acceptance.BenchmarkRateLimitFlood). Requests to
// other nodes only delay the next token, so the cache denies no request that the store would allow.
type denyCache struct {
	mu    sync.Mutex
	until map[domain.RateSubject]time.Time
}

// lookUp reports whether one of the buckets is known to be empty, and returns the states of those. The states of the other
// buckets are zero.
func (c *denyCache) lookUp(buckets []domain.Bucket, now time.Time) (states []domain.BucketState, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	states = make([]domain.BucketState, len(buckets))
	for i, bucket := range buckets {
		if until, found := c.until[bucket.Subject]; found && now.Before(until) {
			states[i], known = domain.BucketState{NextTokenIn: until.Sub(now)}, true
		}
	}
	return states, known
}

func (c *denyCache) store(buckets []domain.Bucket, states []domain.BucketState, now time.Time) {
	for i, state := range states {
		if !state.Allowed {
			c.add(buckets[i].Subject, now.Add(state.NextTokenIn), now)
		}
	}
}

func (c *denyCache) add(subject domain.RateSubject, until, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.until == nil {
		c.until = make(map[domain.RateSubject]time.Time)
	}
	if len(c.until) >= maxDenied {
		for s, t := range c.until {
			if !now.Before(t) {
				delete(c.until, s)
			}
		}
	}
	if len(c.until) < maxDenied {
		c.until[subject] = until
	}
}
