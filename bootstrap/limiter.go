package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/keylodge/keylodge/adapters/buckets"
	"github.com/keylodge/keylodge/adapters/masterkey"
	"github.com/keylodge/keylodge/adapters/metrics"
	"github.com/keylodge/keylodge/adapters/redis"
	"github.com/keylodge/keylodge/application/ratelimit"
	"github.com/keylodge/keylodge/bootstrap/config"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// sharedBuckets is a store that keeps rate limit buckets for all nodes.
type sharedBuckets interface{ Buckets() ports.Buckets }

// rateLimits returns the rate limiter. Its buckets are shared through Redis if a URL is set, else through the database if it can
// share them, else they are kept by this node alone. An unreachable Redis does not prevent startup; one that rejects its settings does.
func rateLimits(cfg config.Config, keys masterkey.Keys, store ports.Store, clock ports.Clock, m *metrics.Metrics, log *slog.Logger) (*ratelimit.Service, func(), error) {
	service := &ratelimit.Service{
		Limits: cfg.RateLimits, Key: keys.RateLimits, Clock: clock, Local: buckets.New(clock, buckets.Max), Observer: limiterObserver{log, m},
	}
	if len(cfg.RateLimits) == 0 {
		return service, func() {}, nil
	}
	if cfg.RateLimitURL.IsZero() {
		if database, can := store.(sharedBuckets); can {
			service.Shared = database.Buckets()
		}
		return service, func() {}, nil
	}
	shared, err := redis.Open(cfg.RateLimitURL.Reveal())
	if err != nil {
		return nil, nil, err
	}
	closeShared := func() {
		if err := shared.Close(); err != nil {
			// Meaning: The server stops anyway. There is nothing to do.
			log.Error("closing the connections to Redis failed", slog.Any("error", err))
		}
	}
	if err := shared.Check(context.Background()); errors.Is(err, domain.ErrUnavailable) {
		// Meaning: Redis did not respond at startup. The server runs. docs/runbooks/redis-gone.md says what fails until Redis
		// responds.
		log.Warn("rate limit store unavailable at startup", slog.Any("error", err))
	} else if err != nil {
		closeShared()
		return nil, nil, fmt.Errorf("KEYLODGE_RATE_LIMIT_URL: %w", err)
	}
	service.Shared = shared
	return service, closeShared, nil
}

// limiterObserver logs and counts the outages of the shared rate limit store.
type limiterObserver struct {
	log     *slog.Logger
	metrics *metrics.Metrics
}

var _ ports.LimiterObserver = limiterObserver{}

func (o limiterObserver) Unavailable(cause error) {
	o.metrics.SetRateLimitStoreUp(false)
	// Meaning: The shared rate limits cannot be counted. Restore the store: docs/runbooks/redis-gone.md, or
	// docs/runbooks/postgresql-gone.md if Redis is not configured.
	o.log.Error("rate limit store unavailable: recovery and code endpoints return 503, other limits apply per node",
		slog.Any("error", cause))
}

func (o limiterObserver) Recovered() {
	o.metrics.SetRateLimitStoreUp(true)
	// Meaning: The outage has ended: all endpoints respond, and limits are shared again.
	o.log.Info("rate limit store available again")
}

func (o limiterObserver) Fallback(rejected bool) { o.metrics.CountFallback(rejected) }
