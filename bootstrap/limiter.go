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
			log.Error("closing the connections to Redis failed", slog.Any("error", err))
		}
	}
	if err := shared.Check(context.Background()); errors.Is(err, domain.ErrUnavailable) {
		log.Warn("counts of calls cannot be shared yet", slog.Any("error", err))
	} else if err != nil {
		closeShared()
		return nil, nil, fmt.Errorf("KEYLODGE_RATE_LIMIT_URL: %w", err)
	}
	service.Shared = shared
	return service, closeShared, nil
}

// limiterObserver tells the operator what becomes of the shared counts.
type limiterObserver struct {
	log     *slog.Logger
	metrics *metrics.Metrics
}

var _ ports.LimiterObserver = limiterObserver{}

func (w limiterObserver) Unavailable(cause error) {
	w.metrics.SetRateLimitStoreUp(false)
	w.log.Error("the shared counts of calls are out of reach: recovery and codes are shut, everything else is counted by this server alone",
		slog.Any("error", cause))
}

func (w limiterObserver) Recovered() {
	w.metrics.SetRateLimitStoreUp(true)
	w.log.Info("the shared counts of calls are back")
}

func (w limiterObserver) Fallback(shut bool) { w.metrics.CountFallback(shut) }
