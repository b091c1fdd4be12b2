package ratelimit

import (
	"sync"
	"time"

	"github.com/keylodge/keylodge/domain"
)

// maxDenied bounds the memory of empty buckets: some hundred kilobytes. What does not fit is asked for again.
const maxDenied = 4096

// denyCache remembers shared buckets that had nothing left, until the moment when they may have: whoever hammers on one would
// otherwise keep the shared store busy for everybody. What others take meanwhile only makes that moment later, so nobody is
// refused who would have got a token.
type denyCache struct {
	mu    sync.Mutex
	until map[domain.RateSubject]time.Time
}

// lookUp are those of the buckets that are known to be empty, if any is. The others are not asked.
func (e *denyCache) lookUp(from []domain.Bucket, now time.Time) (levels []domain.BucketState, known bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	levels = make([]domain.BucketState, len(from))
	for i, bucket := range from {
		if until, found := e.until[bucket.Subject]; found && now.Before(until) {
			levels[i], known = domain.BucketState{NextTokenIn: until.Sub(now)}, true
		}
	}
	return levels, known
}

func (e *denyCache) store(from []domain.Bucket, levels []domain.BucketState, now time.Time) {
	for i, level := range levels {
		if !level.Allowed {
			e.add(from[i].Subject, now.Add(level.NextTokenIn), now)
		}
	}
}

func (e *denyCache) add(subject domain.RateSubject, until, now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.until == nil {
		e.until = make(map[domain.RateSubject]time.Time)
	}
	if len(e.until) >= maxDenied {
		for s, t := range e.until {
			if !now.Before(t) {
				delete(e.until, s)
			}
		}
	}
	if len(e.until) < maxDenied {
		e.until[subject] = until
	}
}
