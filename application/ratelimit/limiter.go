package ratelimit

import (
	"context"
	"fmt"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// sharedTimeout is how long the shared buckets may take to answer, the wait for a connection among it. It is what a call may lose to a
// store that has just died, and long enough for one that is only busy.
const sharedTimeout = 2 * time.Second

// Limiter are the buckets that all servers share, where there are any, and those of this server for the time that the shared
// ones are out of reach. What guards a secret is shut for that time: to count guesses on each server by itself, from zero,
// would hand out as many budgets as there are servers.
type Limiter struct {
	shared   ports.Buckets // nil: there is one server
	local    ports.Buckets
	clock    ports.Clock
	observer ports.LimiterObserver
	breaker  breaker
	denied   denyCache
}

// NewLimiter counts in shared, or in local alone if that is nil.
func NewLimiter(shared, local ports.Buckets, clock ports.Clock, watch ports.LimiterObserver) *Limiter {
	return &Limiter{shared: shared, local: local, clock: clock, observer: watch}
}

func (c *Limiter) take(ctx context.Context, class domain.RateClass, from []domain.Bucket) ([]domain.BucketState, error) {
	if c.shared == nil {
		return c.local.Take(ctx, from...)
	}
	now := c.clock.Now()
	if levels, known := c.denied.lookUp(from, now); known {
		return levels, nil
	}
	if c.breaker.allow(now) {
		levels, err := c.takeShared(ctx, from)
		if err == nil {
			if c.breaker.succeeded() {
				c.observer.Recovered()
			}
			c.denied.store(from, levels, now)
			return levels, nil
		}
		if ctx.Err() != nil { // the caller went away; nothing is known of the buckets
			c.breaker.release()
			return nil, fmt.Errorf("counting a call: %w", ctx.Err())
		}
		if c.breaker.failed(c.clock.Now()) {
			c.observer.Unavailable(err)
		}
	}
	c.observer.Fallback(class.FailsClosed())
	if class.FailsClosed() {
		return nil, domain.ErrLimiterUnavailable
	}
	return c.local.Take(ctx, from...)
}

func (c *Limiter) takeShared(ctx context.Context, from []domain.Bucket) ([]domain.BucketState, error) {
	ctx, cancel := context.WithTimeout(ctx, sharedTimeout)
	defer cancel()
	return c.shared.Take(ctx, from...)
}

// DeleteExpired keeps the shared buckets from gathering.
func (c *Limiter) DeleteExpired(ctx context.Context) error {
	if c.shared == nil || !c.breaker.healthy() {
		return nil
	}
	return c.shared.DeleteExpired(ctx)
}
