package acceptance

import (
	"context"
	"crypto/rand"
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/keylodge/keylodge/adapters/system"
	"github.com/keylodge/keylodge/application/maintenance"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// BenchmarkDeleteExpired measures how the deletion of 300,000 expired sessions delays other transactions. The sessions are
// scattered over their indexes, as after months. It reports quantiles, in milliseconds, of
//   - commit: a transaction that writes one row, without other transactions
//   - alone: such a transaction while another client writes every 5 ms
//   - beside: the same during the deletion
//   - held: how long a batch of the deletion holds the writer, from its first statement to the end of its commit
//   - work: the part of held until the commit
//   - extra: beside minus alone
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
	key := storeEndedSessions(b, store, ended, system.Clock{}.Now().Add(-48*time.Hour))
	time.Sleep(2 * time.Second)
	commit := measureUpdates(b, store, key, 3*time.Second, time.Millisecond, nil)

	control := make(chan []time.Duration)
	go func() { control <- measureUpdates(b, store, key, 5*time.Second, 5*time.Millisecond, nil) }()
	alone := measureUpdates(b, store, key, 5*time.Second, time.Millisecond, nil)
	<-control

	timed := &timedStore{Store: store}
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan struct{})
	began := time.Now()
	go func() {
		defer close(done)
		deleted, err := (&maintenance.Service{Store: timed, Clock: system.Clock{}, Pause: system.Pause}).DeleteExpired(ctx)
		if err != nil && !errors.Is(err, context.Canceled) {
			b.Error(err)
		}
		b.ReportMetric(float64(deleted.Sessions)/time.Since(began).Seconds(), "deleted/s")
	}()
	beside := measureUpdates(b, store, key, 15*time.Second, time.Millisecond, done)
	cancel()
	<-done
	for name, times := range map[string][]time.Duration{"commit": commit, "alone": alone, "beside": beside, "held": timed.held, "work": timed.work} {
		b.ReportMetric(quantile(times, 0.5), name+"-p50-ms")
		b.ReportMetric(quantile(times, 0.99), name+"-p99-ms")
		b.ReportMetric(quantile(times, 1), name+"-max-ms")
	}
	for name, q := range map[string]float64{"extra-p50-ms": 0.5, "extra-p99-ms": 0.99} {
		b.ReportMetric(quantile(beside, q)-quantile(alone, q), name)
	}
}

// timedStore records how long each transaction holds the writer.
type timedStore struct {
	ports.Store
	held, work []time.Duration
}

func (s *timedStore) Update(ctx context.Context, fn func(ports.Tx) error) error {
	var began time.Time
	var work time.Duration
	err := s.Store.Update(ctx, func(tx ports.Tx) error {
		began = time.Now()
		defer func() { work = time.Since(began) }()
		return fn(tx)
	})
	if err == nil {
		s.held = append(s.held, time.Since(began))
		s.work = append(s.work, work)
	}
	return err
}

// quantile returns the q-quantile of times in milliseconds.
func quantile(times []time.Duration, q float64) float64 {
	slices.Sort(times)
	return float64(times[int(math.Ceil(q*float64(len(times))))-1]) / float64(time.Millisecond)
}

// measureUpdates stores one session after another, with a pause after each, until done is closed or during has passed. It returns
// the duration of each transaction.
func measureUpdates(b *testing.B, store ports.Store, key *domain.Credential, during, pause time.Duration, done <-chan struct{}) (times []time.Duration) {
	b.Helper()
	for began := time.Now(); time.Since(began) < during; {
		select {
		case <-done:
			return times
		default:
		}
		session, _ := domain.OpenSession(key, domain.Device{}, domain.SessionLifetime{TTL: time.Hour, IdleTTL: time.Hour}, system.Clock{}.Now(), rand.Reader)
		start := time.Now()
		if err := store.Update(b.Context(), func(tx ports.Tx) error { return tx.Sessions.Add(b.Context(), session) }); err != nil {
			b.Error(err)
			return times
		}
		times = append(times, time.Since(start))
		time.Sleep(pause)
	}
	return times
}

// storeEndedSessions stores n sessions that expired at the given time, and returns their owner's passkey.
func storeEndedSessions(b *testing.B, store ports.Store, n int, at time.Time) *domain.Credential {
	b.Helper()
	pending := domain.NewPendingUser("", "Ada", at, rand.Reader)
	key, err := domain.NewCredential(pending.UserID, "", domain.Registration{CredentialID: "id", PublicKey: []byte{0}, Attestation: domain.Attestation{Object: []byte{0}, AuthenticatorData: []byte{0}, ClientDataJSON: []byte{0}}, RPID: "localhost", Flags: 1<<0 | 1<<2}, at)
	if err != nil {
		b.Fatal(err)
	}
	for i := 0; i < n; i += 5000 {
		err := store.Update(b.Context(), func(tx ports.Tx) error {
			if i == 0 {
				if err := errors.Join(tx.Users.Add(b.Context(), pending.ToUser(at)), tx.Credentials.Add(b.Context(), key)); err != nil {
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
	return key
}
