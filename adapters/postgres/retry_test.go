package postgres

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/postgresserver"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Each transaction reads what those of the other nodes write, so all but one must be retried.
// Requirement: Durability-concurrency
func TestUpdate_RetriesSerializationFailure(t *testing.T) {
	url := postgresserver.MigratedDatabase(t, migrateDatabase)
	const callers, nodes = 16, 4
	var stores [nodes]*Store
	for i := range stores {
		stores[i] = openAt(t, url)
	}
	var runs atomic.Int64
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() {
			err := stores[i%nodes].Update(t.Context(), func(tx ports.Tx) error {
				runs.Add(1)
				for other := range callers {
					if _, err := tx.Challenges.ByID(t.Context(), numberedID(other)); err != nil && !errors.Is(err, domain.ErrChallengeNotFound) {
						return err
					}
				}
				return tx.Challenges.Add(t.Context(), numbered(i))
			})
			if err != nil {
				t.Errorf("caller %d: %v", i, err)
			}
		})
	}
	all.Wait()
	wantChallenges(t, stores[0], callers)
	if n := runs.Load(); n == callers {
		t.Errorf("no transaction conflicted in %d runs, so the test proves nothing", n)
	}
}

// The commit of one Update is asynchronous; the next one on the same connection waits for the disk.
func TestUpdate_AsyncCommit(t *testing.T) {
	s := openAt(t, postgresserver.MigratedDatabase(t, migrateDatabase)+"&pool_max_conns=1")
	for _, c := range []struct {
		ctx  context.Context
		want string
	}{{ports.WithAsyncCommit(t.Context()), "off/serializable"}, {t.Context(), "on/serializable"}} {
		a, err := s.beginUpdate(c.ctx)
		if err != nil {
			t.Fatal(err)
		}
		var got string
		const settings = "SELECT current_setting('synchronous_commit') || '/' || current_setting('transaction_isolation')"
		if err := errors.Join(a.QueryRow(t.Context(), settings).Scan(&got), a.commit(t.Context())); err != nil || got != c.want {
			t.Errorf("settings %q, %v; want %q", got, err, c.want)
		}
		a.end(t.Context())
	}
}

// A conflict is retried even if fn ignores the statement's error.
func TestUpdate_RetriesHiddenConflict(t *testing.T) {
	url := postgresserver.MigratedDatabase(t, migrateDatabase)
	s, other := openAt(t, url), openAt(t, url)
	add(t, s, 0)
	runs := 0
	err := s.Update(t.Context(), func(tx ports.Tx) error {
		if runs++; runs > 1 {
			return nil
		}
		if _, err := tx.Challenges.ByID(t.Context(), numberedID(0)); err != nil {
			return err
		}
		take(t, other, 0)
		_ = tx.Challenges.Consume(t.Context(), numberedID(0))
		if err := readChallenge(tx); err == nil {
			t.Error("the challenge was taken twice")
		}
		return nil
	})
	if err != nil || runs != 2 {
		t.Errorf("fn ran %d times, error %v; want 2", runs, err)
	}
}

func TestUpdate_HiddenStatementErrorFails(t *testing.T) {
	s := openNew(t)
	add(t, s, 0)
	err := s.Update(t.Context(), func(tx ports.Tx) error {
		_ = tx.Challenges.Add(t.Context(), numbered(0))
		if err := readChallenge(tx); err == nil {
			t.Error("the challenge was added twice")
		}
		return nil
	})
	if err == nil || errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("got %v, want an error that is not an outage", err)
	}
}

// After three conflicts with another node, an Update waits until no other transaction of its node writes.
func TestUpdate_RunsExclusivelyAfterThreeConflicts(t *testing.T) {
	url := postgresserver.MigratedDatabase(t, migrateDatabase)
	s, other := openAt(t, url), openAt(t, url)
	add(t, s, 0)
	runs := 0
	if err := s.Update(t.Context(), func(tx ports.Tx) error {
		runs++
		if free := s.writers.TryAcquire(1); free != (runs <= exclusiveAfter) {
			t.Errorf("run %d: another transaction may write: %t", runs, free)
		} else if free {
			s.writers.Release(1)
		}
		if err := readChallenge(tx); err != nil {
			return err
		}
		if runs <= exclusiveAfter {
			take(t, other, 0)
			add(t, other, 0)
		}
		return tx.Challenges.Consume(t.Context(), numberedID(0))
	}); err != nil || runs != exclusiveAfter+1 {
		t.Errorf("fn ran %d times, error %v; want %d", runs, err, exclusiveAfter+1)
	}
}

func TestUpdate_BoundsRetries(t *testing.T) {
	url := postgresserver.MigratedDatabase(t, migrateDatabase)
	s, other := openAt(t, url), openAt(t, url)
	add(t, s, 0)
	runs := 0
	err := s.Update(t.Context(), func(tx ports.Tx) error {
		runs++
		if _, err := tx.Challenges.ByID(t.Context(), numberedID(0)); err != nil {
			return err
		}
		take(t, other, 0) // by another node, which always commits first
		add(t, other, 0)
		err := tx.Challenges.Consume(t.Context(), numberedID(0))
		return err
	})
	if !errors.Is(err, domain.ErrUnavailable) || runs != maxConflicts+1 {
		t.Errorf("fn ran %d times, error %v; want %d and %v", runs, err, maxConflicts+1, domain.ErrUnavailable)
	}
	ctx, cancel := context.WithCancel(t.Context())
	runs = 0
	err = s.Update(ctx, func(tx ports.Tx) error {
		if runs++; runs == 3 {
			cancel()
		}
		if _, err := tx.Challenges.ByID(t.Context(), numberedID(0)); err != nil {
			return err
		}
		take(t, other, 0)
		add(t, other, 0)
		err := tx.Challenges.Consume(t.Context(), numberedID(0))
		return err
	})
	if err == nil || runs != 3 {
		t.Errorf("with a context that ended in the third run: fn ran %d times, error %v", runs, err)
	}
}

// The row that violates a constraint may exist for a moment only.
func TestUpdate_RetriesConstraintViolation(t *testing.T) {
	url := postgresserver.MigratedDatabase(t, migrateDatabase)
	s, other := openAt(t, url), openAt(t, url)
	runs := 0
	err := s.Update(t.Context(), func(tx ports.Tx) error {
		if runs++; runs > 1 {
			return tx.Challenges.Add(t.Context(), numbered(0))
		}
		if _, err := tx.Challenges.ByID(t.Context(), numberedID(1)); !errors.Is(err, domain.ErrChallengeNotFound) {
			return err
		}
		add(t, other, 0)
		err := errors.Join(tx.Challenges.Add(t.Context(), numbered(0)), readChallenge(tx))
		take(t, other, 0)
		return err
	})
	if err != nil || runs != 2 {
		t.Errorf("fn ran %d times, error %v; want 2", runs, err)
	}
}

func TestDeleteExpired_Concurrent(t *testing.T) {
	s := openNew(t)
	const challenges, jobs = 60, 4
	for i := range challenges {
		add(t, s, i)
	}
	var deleted atomic.Int64
	var all sync.WaitGroup
	for range jobs {
		all.Go(func() {
			for {
				var n int
				if err := s.Update(t.Context(), func(tx ports.Tx) (err error) {
					n, err = tx.Challenges.DeleteExpired(t.Context(), numberedTime.Add(time.Hour), 7)
					return err
				}); err != nil {
					t.Error(err)
					return
				}
				if deleted.Add(int64(n)); n == 0 {
					return
				}
			}
		})
	}
	all.Wait()
	wantChallenges(t, s, 0)
	if n := deleted.Load(); n != challenges {
		t.Errorf("%d deletions were reported, want %d", n, challenges)
	}
}

func TestUpdate_GoexitRollsBack(t *testing.T) {
	s := openNew(t)
	for range maxConnections + 1 { // each would lose a connection
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = s.Update(t.Context(), func(tx ports.Tx) error {
				_ = tx.Challenges.Add(t.Context(), numbered(0))
				runtime.Goexit()
				return nil
			})
		}()
		<-ended
	}
	add(t, s, 1)
	wantChallenges(t, s, 1)
}

func TestClose_DrainsThenRejects(t *testing.T) {
	url := postgresserver.MigratedDatabase(t, migrateDatabase)
	s, err := Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	closed := make(chan error, 1)
	if err := s.Update(t.Context(), func(tx ports.Tx) error {
		go func() { closed <- s.Close() }()
		<-s.closing
		return tx.Challenges.Add(t.Context(), numbered(0))
	}); err != nil {
		t.Error(err)
	}
	if err := <-closed; err != nil {
		t.Errorf("Close: %v", err)
	}
	for name, run := range map[string]func() error{
		"Update": func() error { return s.Update(t.Context(), func(ports.Tx) error { return nil }) },
		"View":   func() error { return s.View(t.Context(), func(ports.Tx) error { return nil }) },
	} {
		if err := run(); !errors.Is(err, domain.ErrUnavailable) {
			t.Errorf("%s after Close: got %v, want %v", name, err, domain.ErrUnavailable)
		}
	}
	if err := s.Close(); err != nil {
		t.Errorf("a second Close: %v", err)
	}
	wantChallenges(t, openAt(t, url), 1)
}

// BenchmarkUpdate matches the benchmark of package sqlite. The server writes each commit to the disk.
func BenchmarkUpdate(b *testing.B) {
	server := postgresserver.StartForTest(b, "fsync=on", "full_page_writes=on", "synchronous_commit=on")
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			if err := server.Exec("postgres", "DROP DATABASE IF EXISTS bench WITH (FORCE)"); err != nil {
				b.Fatal(err)
			}
			if err := server.Exec("postgres", "CREATE DATABASE bench"); err != nil {
				b.Fatal(err)
			}
			s := openAt(b, server.URL("bench"))
			var next atomic.Int64
			var all sync.WaitGroup
			b.ResetTimer()
			for range callers {
				all.Go(func() {
					for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
						if err := s.Update(b.Context(), func(tx ports.Tx) error { return tx.Challenges.Add(b.Context(), numbered(int(i))) }); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			all.Wait()
		})
	}
}

var numberedTime = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

func numbered(i int) *domain.Challenge {
	return domain.RestoreChallenge(domain.ChallengeState{
		ID: numberedID(i), Purpose: domain.PurposeLogin, CeremonyState: make([]byte, 200), CreatedAt: numberedTime, ExpiresAt: numberedTime.Add(time.Minute),
	})
}

func numberedID(i int) domain.ChallengeID {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(i))
	id, err := domain.ParseChallengeID(fmt.Sprintf("019a0000-0000-7000-%x-%x", b[:2], b[2:]))
	if err != nil {
		panic(err)
	}
	return id
}

func add(t *testing.T, s *Store, i int) {
	t.Helper()
	if err := s.Update(t.Context(), func(tx ports.Tx) error { return tx.Challenges.Add(t.Context(), numbered(i)) }); err != nil {
		t.Fatal(err)
	}
}

func take(t *testing.T, s *Store, i int) {
	t.Helper()
	if err := s.Update(t.Context(), func(tx ports.Tx) error {
		err := tx.Challenges.Consume(t.Context(), numberedID(i))
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

func wantChallenges(t *testing.T, s *Store, want int) {
	t.Helper()
	var n int
	if err := s.pool.QueryRow(t.Context(), "SELECT count(*) FROM webauthn_challenges").Scan(&n); err != nil {
		t.Fatal(err)
	}
	if n != want {
		t.Errorf("%d challenges are stored, want %d", n, want)
	}
}
