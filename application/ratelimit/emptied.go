package ratelimit

import (
	"sync"
	"time"

	"github.com/keylodge/keylodge/domain"
)

// mostEmptied bounds the memory of empty buckets: some hundred kilobytes. What does not fit is asked for again.
const mostEmptied = 4096

// emptied remembers shared buckets that had nothing left, until the moment when they may have: whoever hammers on one would
// otherwise keep the shared store busy for everybody. What others take meanwhile only makes that moment later, so nobody is
// refused who would have got a token.
type emptied struct {
	mu    sync.Mutex
	until map[domain.RateSubject]time.Time
}

// levels are those of the buckets that are known to be empty, if any is. The others are not asked.
func (e *emptied) levels(from []domain.Bucket, now time.Time) (levels []domain.Level, known bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	levels = make([]domain.Level, len(from))
	for i, bucket := range from {
		if until, found := e.until[bucket.Subject]; found && now.Before(until) {
			levels[i], known = domain.Level{Next: until.Sub(now)}, true
		}
	}
	return levels, known
}

func (e *emptied) keep(from []domain.Bucket, levels []domain.Level, now time.Time) {
	for i, level := range levels {
		if !level.Taken {
			e.add(from[i].Subject, now.Add(level.Next), now)
		}
	}
}

func (e *emptied) add(subject domain.RateSubject, until, now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.until == nil {
		e.until = make(map[domain.RateSubject]time.Time)
	}
	if len(e.until) >= mostEmptied {
		for s, t := range e.until {
			if !now.Before(t) {
				delete(e.until, s)
			}
		}
	}
	if len(e.until) < mostEmptied {
		e.until[subject] = until
	}
}
