package ratelimit

import (
	"context"
	"fmt"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// sharedTimeout bounds a request to the shared buckets, including the wait for a connection. It is the delay of a request
// that detects a failure, and long enough for a busy store.
const sharedTimeout = 2 * time.Second

// Limiter takes tokens from the buckets that all nodes share. While these are unavailable, it uses buckets of this node.
// Classes that fail closed return an error instead: with local buckets each node would allow the full number of guesses.
type Limiter struct {
	shared   ports.Buckets // nil if there is one node
	local    ports.Buckets
	clock    ports.Clock
	observer ports.LimiterObserver
	breaker  breaker
	denied   denyCache
}

// NewLimiter uses shared, or only local if shared is nil.
func NewLimiter(shared, local ports.Buckets, clock ports.Clock, observer ports.LimiterObserver) *Limiter {
	return &Limiter{shared: shared, local: local, clock: clock, observer: observer}
}

func (l *Limiter) take(ctx context.Context, class domain.RateClass, buckets []domain.Bucket) ([]domain.BucketState, error) {
	if l.shared == nil {
		return l.local.Take(ctx, buckets...)
	}
	now := l.clock.Now()
	if states, known := l.denied.lookUp(buckets, now); known {
		return states, nil
	}
	if l.breaker.allow(now) {
		states, err := l.takeShared(ctx, buckets)
		if err == nil {
			if l.breaker.succeeded() {
				l.observer.Recovered()
			}
			l.denied.store(buckets, states, now)
			return states, nil
		}
		if ctx.Err() != nil { // the request was canceled, so the error says nothing about the shared buckets
			l.breaker.release()
			return nil, fmt.Errorf("taking a token: %w", ctx.Err())
		}
		if l.breaker.failed(l.clock.Now()) {
			l.observer.Unavailable(err)
		}
	}
	l.observer.Fallback(class.FailsClosed())
	if class.FailsClosed() {
		return nil, domain.ErrLimiterUnavailable
	}
	return l.local.Take(ctx, buckets...)
}

func (l *Limiter) takeShared(ctx context.Context, buckets []domain.Bucket) ([]domain.BucketState, error) {
	ctx, cancel := context.WithTimeout(ctx, sharedTimeout)
	defer cancel()
	return l.shared.Take(ctx, buckets...)
}

// DeleteExpired deletes the shared buckets that are full.
func (l *Limiter) DeleteExpired(ctx context.Context) error {
	if l.shared == nil || !l.breaker.healthy() {
		return nil
	}
	return l.shared.DeleteExpired(ctx)
}
