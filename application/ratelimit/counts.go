package ratelimit

import (
	"context"
	"fmt"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// patience is how long the shared buckets may take to answer, the wait for a connection among it. It is what a call may lose to a
// store that has just died, and long enough for one that is only busy.
const patience = 2 * time.Second

// Counts are the buckets that all servers share, where there are any, and those of this server for the time that the shared
// ones are out of reach. What guards a secret is shut for that time: to count guesses on each server by itself, from zero,
// would hand out as many budgets as there are servers.
type Counts struct {
	shared  ports.Buckets // nil: there is one server
	local   ports.Buckets
	clock   ports.Clock
	watch   ports.BucketsWatch
	circuit circuit
	empty   emptied
}

// NewCounts counts in shared, or in local alone if that is nil.
func NewCounts(shared, local ports.Buckets, clock ports.Clock, watch ports.BucketsWatch) *Counts {
	return &Counts{shared: shared, local: local, clock: clock, watch: watch}
}

func (c *Counts) take(ctx context.Context, class domain.RateClass, from []domain.Bucket) ([]domain.Level, error) {
	if c.shared == nil {
		return c.local.Take(ctx, from...)
	}
	now := c.clock.Now()
	if levels, known := c.empty.levels(from, now); known {
		return levels, nil
	}
	if c.circuit.closed(now) {
		levels, err := c.ask(ctx, from)
		if err == nil {
			if c.circuit.succeeded() {
				c.watch.Back()
			}
			c.empty.keep(from, levels, now)
			return levels, nil
		}
		if ctx.Err() != nil { // the caller went away; nothing is known of the buckets
			c.circuit.leave()
			return nil, fmt.Errorf("counting a call: %w", ctx.Err())
		}
		if c.circuit.failed(c.clock.Now()) {
			c.watch.Lost(err)
		}
	}
	c.watch.Alone(class.GuardsSecret())
	if class.GuardsSecret() {
		return nil, domain.ErrUncounted
	}
	return c.local.Take(ctx, from...)
}

func (c *Counts) ask(ctx context.Context, from []domain.Bucket) ([]domain.Level, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return c.shared.Take(ctx, from...)
}

// Sweep keeps the shared buckets from gathering.
func (c *Counts) Sweep(ctx context.Context) error {
	if c.shared == nil || !c.circuit.whole() {
		return nil
	}
	return c.shared.Sweep(ctx)
}
