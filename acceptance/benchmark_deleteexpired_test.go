package acceptance

import (
	"context"
	"crypto/rand"
	"errors"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/sqlitestore"
	"github.com/keylodge/keylodge/adapters/system"
	"github.com/keylodge/keylodge/application/maintenance"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// BenchmarkDeleteExpired measures how long sign-ins wait for the deletion of expired sessions. The 300,000 sessions are scattered
// over their indexes, as after months. One user signs in repeatedly. In every other second the deletion runs, so that other work of
// the machine affects the sign-ins with and without the deletion equally. It reports quantiles, in milliseconds, of
//   - without, with: a sign-in (options, the device's signature, verify) without and with the deletion
//   - wait: the time in which a transaction of a sign-in had not started and a batch of the deletion ran, during the deletion. On
//     PostgreSQL, where both run at the same time, it is an upper bound.
//   - start-without, start-with: from the call of Update to its start
//   - commit-without, commit-with: from the end of an Update's statements to the end of its commit
//   - held: from the first statement of a batch of the deletion to the end of its commit
func BenchmarkDeleteExpired(b *testing.B) {
	for name, open := range map[string]func(testing.TB) ports.Store{
		"SQLite":   sqliteStore,
		"Postgres": durablePostgres,
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				measureDeletion(b, open(b), 300_000)
				b.StartTimer()
			}
		})
	}
}

func measureDeletion(b *testing.B, store ports.Store, ended int) {
	b.Helper()
	storeEndedSessions(b, store, ended, system.Clock{}.Now().Add(-48*time.Hour))
	deletions, signIns := &timedStore{Store: store}, &timedStore{Store: store}
	clock := newClock()
	ada := (&env{t: b, clock: clock, driver: newUseCaseDriver(b, settings(b, useCaseOrigin, nil), signIns, clock)}).person("Ada", phone)
	ada.signsUp()

	const seconds = 20
	deleted := 0
	var times, starts, commits [2][]time.Duration // without and with the deletion
	var waits, held []time.Duration
	for i := range 2 * seconds {
		with := i % 2
		signIns.updates, deletions.updates = nil, nil
		ctx, cancel := context.WithCancel(b.Context())
		var deletion sync.WaitGroup
		if with == 1 {
			deletion.Go(func() {
				service := &maintenance.Service{Store: deletions, Clock: system.Clock{}, Pause: system.Pause}
				n, err := service.DeleteExpired(ctx)
				if err != nil && !errors.Is(err, context.Canceled) {
					b.Error(err)
				}
				deleted += n.Sessions
			})
		}
		for began := time.Now(); time.Since(began) < time.Second; time.Sleep(time.Millisecond) {
			start := time.Now()
			ada.signsIn()
			times[with] = append(times[with], time.Since(start))
		}
		cancel()
		deletion.Wait()
		for _, u := range signIns.updates {
			starts[with] = append(starts[with], u.started.Sub(u.called))
			commits[with] = append(commits[with], u.returned.Sub(u.finished))
			if with == 1 {
				waits = append(waits, overlap(u, deletions.updates))
			}
		}
		for _, u := range deletions.updates {
			held = append(held, u.returned.Sub(u.started))
		}
	}
	for name, times := range map[string][]time.Duration{
		"without": times[0], "with": times[1], "start-without": starts[0], "start-with": starts[1],
		"commit-without": commits[0], "commit-with": commits[1], "wait": waits, "held": held,
	} {
		b.ReportMetric(quantile(times, 0.5), name+"-p50-ms")
		b.ReportMetric(quantile(times, 0.99), name+"-p99-ms")
		b.ReportMetric(quantile(times, 1), name+"-max-ms")
	}
	b.ReportMetric(float64(deleted)/seconds, "deleted/s")
}

// timedStore records the times of the Updates that commit.
type timedStore struct {
	ports.Store
	mu      sync.Mutex
	updates []timedUpdate
}

type timedUpdate struct{ called, started, finished, returned time.Time }

func (s *timedStore) Update(ctx context.Context, fn func(ports.Tx) error) error {
	u := timedUpdate{called: time.Now()}
	err := s.Store.Update(ctx, func(tx ports.Tx) error {
		u.started = time.Now()
		defer func() { u.finished = time.Now() }()
		return fn(tx)
	})
	u.returned = time.Now()
	if err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.updates = append(s.updates, u)
	}
	return err
}

// overlap returns how much of the time between the call and the start of an Update the others ran.
func overlap(u timedUpdate, others []timedUpdate) (sum time.Duration) {
	for _, o := range others {
		from, to := u.called, u.started
		if o.started.After(from) {
			from = o.started
		}
		if o.returned.Before(to) {
			to = o.returned
		}
		sum += max(0, to.Sub(from))
	}
	return sum
}

// quantile returns the q-quantile of times in milliseconds.
func quantile(times []time.Duration, q float64) float64 {
	slices.Sort(times)
	return float64(times[int(math.Ceil(q*float64(len(times))))-1]) / float64(time.Millisecond)
}

// storeEndedSessions stores n sessions that expired at the given time.
func storeEndedSessions(b *testing.B, store ports.Store, n int, at time.Time) {
	b.Helper()
	pending := domain.NewPendingUser("", "Ada", at, rand.Reader)
	key, err := domain.NewCredential(pending.UserID, "", domain.Registration{CredentialID: "id", PublicKey: []byte{0}, RPID: "localhost", Flags: 1<<0 | 1<<2}, at)
	if err != nil {
		b.Fatal(err)
	}
	for i := 0; i < n; i += 5000 {
		err := store.Update(b.Context(), func(tx ports.Tx) error {
			if i == 0 {
				if err := errors.Join(tx.Users.Add(b.Context(), pending.ToUser(at)), tx.Credentials.Add(b.Context(), key, sqlitestore.Attestation())); err != nil {
					return err
				}
			}
			for range 5000 {
				session, _ := domain.OpenSession(key, domain.Device{}, domain.SessionLifetime{}, at, rand.Reader)
				if err == nil {
					err = tx.Sessions.Add(b.Context(), session)
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}
