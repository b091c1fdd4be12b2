package acceptance

import (
	"context"
	"crypto/rand"
	"errors"
	"math"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/keylodge/keylodge/adapters/sqlite"
	"github.com/keylodge/keylodge/adapters/system"
	"github.com/keylodge/keylodge/application/housekeeping"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// BenchmarkSweep measures how long a unit of work waits beside the deletion of very many sessions that ended at once. The sessions
// lie scattered over their indexes, as they do after months. It reports quantiles of the wait, alone and beside the sweep.
func BenchmarkSweep(b *testing.B) {
	const ended = 300_000
	for b.Loop() {
		b.StopTimer()
		store, err := sqlite.Open(filepath.Join(b.TempDir(), "keylodge.db"))
		if err != nil {
			b.Fatal(err)
		}
		now := system.Clock{}.Now()
		key := endSessions(b, store, ended, now.Add(-48*time.Hour))
		alone := unitsOfWork(b, store, key, 2*time.Second, nil)
		sweep := &housekeeping.Sweep{Store: store, Clock: system.Clock{}}
		ctx, cancel := context.WithCancel(b.Context())
		done := make(chan int, 1)
		b.StartTimer()
		go func() {
			swept, err := sweep.Execute(ctx)
			if err != nil && !errors.Is(err, context.Canceled) {
				b.Error(err)
			}
			done <- swept.Sessions
		}()
		beside := unitsOfWork(b, store, key, 20*time.Second, done)
		b.StopTimer()
		cancel()
		for name, waits := range map[string][]time.Duration{"alone": alone, "beside": beside} {
			b.ReportMetric(quantile(waits, 0.5), "p50-"+name+"-ms")
			b.ReportMetric(quantile(waits, 0.99), "p99-"+name+"-ms")
			b.ReportMetric(quantile(waits, 1), "max-"+name+"-ms")
		}
		if err := store.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

func quantile(waits []time.Duration, q float64) float64 {
	slices.Sort(waits)
	return float64(waits[int(math.Ceil(q*float64(len(waits))))-1]) / float64(time.Millisecond)
}

// unitsOfWork stores one session after another for a while, and returns how long each took.
func unitsOfWork(b *testing.B, store ports.Store, key *domain.Credential, during time.Duration, done <-chan int) (waits []time.Duration) {
	b.Helper()
	for began := time.Now(); time.Since(began) < during; {
		select {
		case n := <-done:
			b.ReportMetric(float64(n)/time.Since(began).Seconds(), "deleted/s")
			return waits
		default:
		}
		session, _, err := domain.OpenSession(key, domain.Device{}, domain.SessionLifetime{TTL: time.Hour, IdleTTL: time.Hour}, system.Clock{}.Now(), rand.Reader)
		if err != nil {
			b.Fatal(err)
		}
		start := time.Now()
		if err := store.Update(b.Context(), func(tx ports.Tx) error { return tx.Sessions.Add(b.Context(), session) }); err != nil {
			b.Fatal(err)
		}
		waits = append(waits, time.Since(start))
		time.Sleep(time.Millisecond)
	}
	return waits
}

// endSessions stores n sessions that ended at a time, and returns the passkey of their owner.
func endSessions(b *testing.B, store ports.Store, n int, at time.Time) *domain.Credential {
	b.Helper()
	pending, err := domain.NewApplicant("", "Ada", at, rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	key, err := domain.NewCredential(pending.UserID, "", domain.Registration{CredentialID: "id", PublicKey: []byte{0}, Attestation: domain.Attestation{Object: []byte{0}, AuthenticatorData: []byte{0}, ClientDataJSON: []byte{0}}, RPID: "localhost", Flags: 1<<0 | 1<<2}, at)
	if err != nil {
		b.Fatal(err)
	}
	for i := 0; i < n; i += 5000 {
		err := store.Update(b.Context(), func(tx ports.Tx) error {
			if i == 0 {
				if err := errors.Join(tx.Users.Add(b.Context(), pending.Admit(at)), tx.Credentials.Add(b.Context(), key)); err != nil {
					return err
				}
			}
			for range 5000 {
				session, _, err := domain.OpenSession(key, domain.Device{}, domain.SessionLifetime{}, at, rand.Reader)
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
