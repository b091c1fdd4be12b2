package acceptance

import (
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/postgresserver"
	"github.com/keylodge/keylodge/acceptance/testkit/redisserver"
	"github.com/keylodge/keylodge/acceptance/testkit/sqlitestore"
	"github.com/keylodge/keylodge/adapters/postgres"
	"github.com/keylodge/keylodge/bootstrap/config"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// BenchmarkSignIn measures a complete sign-in: options, the device's signature, verify. The result includes the device's work.
func BenchmarkSignIn(b *testing.B) {
	for _, c := range []struct {
		name string
		open func(testing.TB) protocolDriver
	}{
		{"use cases on SQLite in memory", func(t testing.TB) protocolDriver {
			return newUseCaseDriver(t, settings(t, useCaseOrigin, nil), sqlitestore.New(t), newClock())
		}},
		{"use cases on SQLite", func(t testing.TB) protocolDriver {
			return newUseCaseDriver(t, settings(t, useCaseOrigin, nil), sqliteStore(t), newClock())
		}},
		{"use cases on Postgres", func(t testing.TB) protocolDriver {
			return newUseCaseDriver(t, settings(t, useCaseOrigin, nil), durablePostgres(t), newClock())
		}},
		{"HTTP on SQLite", func(t testing.TB) protocolDriver { return httpDriver{startServer(t, newClock(), nil)} }},
		{"HTTP on SQLite, rate-limited", func(t testing.TB) protocolDriver { return httpDriver{startServer(t, newClock(), highLimits)} }},
		{"HTTP on Postgres", func(t testing.TB) protocolDriver {
			server := postgresserver.StartForTest(t, durableSettings...)
			return httpDriver{startServer(t, newClock(), func(c *config.Config) { c.Database = config.Postgres(server.URL("postgres")) })}
		}},
		{"HTTP on Postgres, rate-limited", func(t testing.TB) protocolDriver {
			server := postgresserver.StartForTest(t, durableSettings...)
			return httpDriver{startServer(t, newClock(), combine(highLimits, func(c *config.Config) { c.Database = config.Postgres(server.URL("postgres")) }))}
		}},
		{"HTTP on Postgres, rate-limited by Redis", func(t testing.TB) protocolDriver {
			server, redis := postgresserver.StartForTest(t, durableSettings...), redisserver.Start(t)
			return httpDriver{startServer(t, newClock(), combine(highLimits, func(c *config.Config) {
				c.Database, c.RateLimitURL = config.Postgres(server.URL("postgres")), domain.NewSecret(redis.URL())
			}))}
		}},
	} {
		b.Run(c.name+"/sequential", func(b *testing.B) {
			ada := (&env{t: b, clock: newClock(), driver: c.open(b)}).person("Ada", phone)
			ada.signsUp()
			for b.Loop() {
				ada.signsIn()
			}
		})
		b.Run(c.name+"/64 concurrent", func(b *testing.B) {
			e := &env{t: b, clock: newClock(), driver: c.open(b)}
			people := make(chan *person, 64)
			for range cap(people) {
				user := e.person("Ada", phone)
				user.signsUp()
				people <- user
			}
			b.SetParallelism(32) // on two processors
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				user := <-people
				defer func() { people <- user }()
				for pb.Next() {
					user.signsIn()
				}
			})
		})
	}
}

// highLimits sets rate limits that count every request and reject none.
func highLimits(c *config.Config) {
	c.RateLimits = domain.DefaultRateLimits()
	for policy := range c.RateLimits {
		c.RateLimits[policy] = domain.RateLimit{Quota: 1_000_000, Window: time.Second}
	}
}

// durableSettings are the PostgreSQL settings with which a commit is written to disk, as on SQLite.
var durableSettings = []string{"fsync=on", "full_page_writes=on"}

func durablePostgres(t testing.TB) ports.Store {
	t.Helper()
	store, err := postgres.Open(t.Context(), postgresserver.StartForTest(t, durableSettings...).URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}
