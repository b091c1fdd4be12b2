package acceptance

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/redisserver"
	"github.com/keylodge/keylodge/adapters/buckets"
	"github.com/keylodge/keylodge/adapters/postgres"
	"github.com/keylodge/keylodge/adapters/redis"
	"github.com/keylodge/keylodge/adapters/system"
	"github.com/keylodge/keylodge/application/ratelimit"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// BenchmarkRateLimitFlood measures a request of a client while another client sends 3,200 requests per second to an empty
// bucket: through the service, which remembers empty buckets, and directly to the shared store, as without this cache. Time is
// that of one token from the shared store; p99-ms is its 99th percentile.
func BenchmarkRateLimitFlood(b *testing.B) {
	for name, open := range map[string]func(b *testing.B) ports.Buckets{
		"Redis": func(b *testing.B) ports.Buckets {
			shared, err := redis.Open(redisserver.Start(b).URL())
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() {
				if err := shared.Close(); err != nil {
					b.Error(err)
				}
			})
			return shared
		},
		"PostgreSQL": func(b *testing.B) ports.Buckets {
			store, err := postgres.Open(b.Context(), postgresURL(b))
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() {
				if err := store.Close(); err != nil {
					b.Error(err)
				}
			})
			return store.Buckets()
		},
	} {
		b.Run(name+"/cached", func(b *testing.B) {
			shared := open(b)
			service := &ratelimit.Service{
				Limits: domain.RateLimits{domain.RateRecovery.PerNetwork(): {Quota: 1, Window: 10 * time.Hour}},
				Key:    domain.RateKey("key"), Clock: system.Clock{}, Shared: shared, Local: buckets.New(system.Clock{}, buckets.Max),
			}
			attacker := ratelimit.Caller{Network: domain.NetworkOf("192.0.2.1")}
			measureFlood(b, shared, func(ctx context.Context) { _, _ = service.Allow(ctx, domain.RateRecovery, attacker) })
		})
		b.Run(name+"/direct", func(b *testing.B) {
			shared := open(b)
			empty := domain.Bucket{Subject: domain.RateSubject{1}, Limit: domain.RateLimit{Quota: 1, Window: 10 * time.Hour}}
			measureFlood(b, shared, func(ctx context.Context) { _, _ = shared.Take(ctx, empty) })
		})
	}
}

func measureFlood(b *testing.B, shared ports.Buckets, attack func(ctx context.Context)) {
	b.Helper()
	ctx, stop := context.WithCancel(b.Context())
	var flood sync.WaitGroup
	defer flood.Wait()
	defer stop()
	for range 32 {
		flood.Go(func() {
			tick := time.NewTicker(10 * time.Millisecond)
			defer tick.Stop()
			for ctx.Err() == nil {
				attack(ctx)
				<-tick.C
			}
		})
	}
	bucket := domain.Bucket{Subject: domain.RateSubject{2}, Limit: domain.RateLimit{Quota: 1_000_000, Window: time.Second}}
	var times []time.Duration
	for b.Loop() {
		begun := time.Now()
		if _, err := shared.Take(b.Context(), bucket); err != nil {
			b.Fatal(err)
		}
		times = append(times, time.Since(begun))
	}
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)*99/100].Microseconds())/1000, "p99-ms")
}
