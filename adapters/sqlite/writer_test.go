package sqlite

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3/driver"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
	"github.com/keylodge/keylodge/ports/storetest"
)

func TestUpdate_GroupCommit(t *testing.T) {
	s := openNew(t)
	commits := 0
	setCommitHook(t, s, func() bool { commits++; return s.writer.committing })
	const callers = 64
	for i, err := range updateTogether(t, s, callers, addNumbered, noop) {
		if err != nil {
			t.Errorf("caller %d: %v", i, err)
		}
	}
	wantChallenges(t, s, callers)
	if commits > callers/4 {
		t.Errorf("%d callers took %d commits", callers, commits)
	}
}

// An Update that arrives while one with an asynchronous commit runs gets a transaction of its own, which waits for the disk.
func TestUpdate_AsyncCommit(t *testing.T) {
	s := openNew(t)
	synchronous := func() (mode string) {
		if err := s.writer.conn.QueryRowContext(t.Context(), "PRAGMA synchronous").Scan(&mode); err != nil {
			t.Error(err)
		}
		return mode
	}
	later := make(chan error, 1)
	err := s.Update(ports.WithAsyncCommit(t.Context()), func(tx ports.Tx) error {
		if mode := synchronous(); mode != "1" {
			t.Errorf("synchronous is %s in an Update with an asynchronous commit, want 1, NORMAL", mode)
		}
		go func() {
			later <- s.Update(t.Context(), func(tx ports.Tx) error {
				if mode := synchronous(); mode != "2" {
					t.Errorf("synchronous is %s in a later Update, want 2, FULL", mode)
				}
				return addNumbered(1, tx)
			})
		}()
		storetest.AwaitBlocked(t, 1, "sqlite.(*writer).update")
		return addNumbered(0, tx)
	})
	if err := errors.Join(err, <-later); err != nil {
		t.Fatal(err)
	}
	wantChallenges(t, s, 2)
}

// A request that fails is rolled back alone. If it had written, those before it in the transaction run again.
func TestUpdate_FailureInBatch(t *testing.T) {
	const callers = 8
	failed := errors.New("failed")
	for name, c := range map[string]struct {
		fail func(ctx context.Context, cancel context.CancelFunc, i int, tx ports.Tx) error // of the last request that runs
		want error
		runs int32 // of each other request
	}{
		"before a write": {
			func(context.Context, context.CancelFunc, int, ports.Tx) error { return failed }, failed, 1,
		},
		"after a write without effect": {
			func(ctx context.Context, _ context.CancelFunc, i int, tx ports.Tx) error {
				return tx.Challenges.Consume(ctx, numberedID(i))
			}, domain.ErrChallengeNotFound, 1,
		},
		"after a write": {
			func(_ context.Context, _ context.CancelFunc, i int, tx ports.Tx) error {
				return errors.Join(addNumbered(i, tx), failed)
			}, failed, 2,
		},
		"canceled after a write": {
			func(_ context.Context, cancel context.CancelFunc, i int, tx ports.Tx) error {
				cancel()
				return addNumbered(i, tx)
			}, context.Canceled, 2,
		},
		"a panic after a write": {
			func(_ context.Context, _ context.CancelFunc, i int, tx ports.Tx) error {
				panic(errors.Join(addNumbered(i, tx), failed))
			}, failed, 2,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := openNew(t)
			var order, failing atomic.Int32
			var runs [callers]atomic.Int32
			results := callTogether(t, s, callers, func(i int) (err error) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				defer func() {
					if panicked := recover(); panicked != nil {
						err = panicked.(error)
					}
				}()
				return s.Update(ctx, func(tx ports.Tx) error {
					runs[i].Add(1)
					if order.Add(1) != callers {
						return addNumbered(i, tx)
					}
					failing.Store(int32(i))
					return c.fail(ctx, cancel, i, tx)
				})
			}, noop)
			for i, err := range results {
				want, wantRuns := error(nil), c.runs
				if i == int(failing.Load()) {
					want, wantRuns = c.want, 1
				}
				if !errors.Is(err, want) {
					t.Errorf("caller %d got %v, want %v", i, err, want)
				}
				if i < callers && runs[i].Load() != wantRuns {
					t.Errorf("caller %d ran %d times, want %d", i, runs[i].Load(), wantRuns)
				}
			}
			wantChallenges(t, s, callers-1)
			if _, err := find(t, s, int(failing.Load())); !errors.Is(err, domain.ErrChallengeNotFound) {
				t.Errorf("finding the challenge of the caller that failed: %v", err)
			}
		})
	}
}

// A request that succeeded may fail when it runs again. Then it is rolled back alone, too.
func TestUpdate_FailureInRepetition(t *testing.T) {
	s := openNew(t)
	failed := errors.New("failed")
	var order atomic.Int32
	updateTogether(t, s, 3, func(_ int, tx ports.Tx) error {
		run := order.Add(1)
		err := addNumbered(int(run), tx)
		if run == 3 || run == 4 { // the last request; the first one, when it runs again
			err = errors.Join(err, failed)
		}
		return err
	}, noop)
	if _, err := find(t, s, 5); err != nil {
		t.Errorf("finding the challenge of the second request's second run: %v", err)
	}
	wantChallenges(t, s, 1)
}

// A request that fails after a write shows nothing about the database, so the next transaction still tests whether it can be written.
func TestUpdate_FailureKeepsTheTestOfWriting(t *testing.T) {
	s := openNew(t)
	setCommitHook(t, s, func() bool { return false })
	failed := errors.New("failed")
	if err := s.Update(t.Context(), func(tx ports.Tx) error { return addNumbered(0, tx) }); err == nil {
		t.Fatal("the COMMIT did not fail")
	}
	err := s.Update(t.Context(), func(tx ports.Tx) error { return errors.Join(addNumbered(0, tx), failed) })
	if !errors.Is(err, failed) {
		t.Fatalf("got %v, want %v", err, failed)
	}
	_ = s.Update(t.Context(), func(ports.Tx) error {
		if !s.writer.lastFailed {
			t.Error("the next transaction did not test whether the database can be written")
		}
		return nil
	})
}

func TestUpdate_CommitErrorFailsWholeBatch(t *testing.T) {
	s := openNew(t)
	setCommitHook(t, s, func() bool { return false })
	for i, err := range updateTogether(t, s, 8, addNumbered, noop) {
		if err == nil && i < 8 {
			t.Errorf("caller %d got no error", i)
		}
	}
	setCommitHook(t, s, func() bool { return s.writer.committing })
	wantChallenges(t, s, 0)
	add(t, s, 0)
	wantChallenges(t, s, 1)
}

func TestUpdate_FullDiskFailsWholeBatch(t *testing.T) {
	s := openNew(t)
	var pages int
	if err := s.writer.conn.QueryRowContext(t.Context(), "PRAGMA page_count").Scan(&pages); err != nil {
		t.Fatal(err)
	}
	limitPages := func(n int) {
		t.Helper()
		if err := s.writer.exec(fmt.Sprintf("PRAGMA max_page_count = %d", n)); err != nil {
			t.Fatal(err)
		}
	}
	limitPages(pages + 4)
	const callers, oversized, hidden, first = 4, 2, 98, 99
	results := updateTogether(t, s, callers, func(i int, tx ports.Tx) error {
		if i != oversized {
			return addNumbered(i, tx)
		}
		large := numbered(oversized).State()
		large.CeremonyState = make([]byte, 1<<20)
		if err := tx.Challenges.Add(t.Context(), domain.RestoreChallenge(large)); !errors.Is(err, domain.ErrUnavailable) {
			return fmt.Errorf("on the full disk: got %w", err)
		}
		// SQLite has ended the transaction. A smaller write must not be committed by itself.
		_ = addNumbered(hidden, tx)
		return nil
	}, func(tx ports.Tx) error { return addNumbered(first, tx) })
	for i, id := range []int{0, 1, oversized, 3, first} {
		err := results[i]
		_, findErr := find(t, s, id)
		if (err == nil) != (findErr == nil) || err != nil && !errors.Is(err, domain.ErrUnavailable) {
			t.Errorf("caller %d got %v; finding its challenge: %v", i, err, findErr)
		}
	}
	if results[oversized] == nil || results[callers] == nil {
		t.Errorf("the caller that filled the disk got %v, an earlier caller got %v", results[oversized], results[callers])
	}
	if _, err := find(t, s, hidden); !errors.Is(err, domain.ErrChallengeNotFound) {
		t.Errorf("finding the challenge added after the transaction had ended: %v", err)
	}
	limitPages(1 << 20)
	add(t, s, 100)
}

// Requirement: Durability-outages
func TestUpdate_UnavailableWhileLocked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keylodge.db")
	s := openAt(t, path)
	other, err := driver.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := s.writer.exec("PRAGMA busy_timeout = 0"); err != nil {
		t.Fatal(err)
	}
	// Repeated, because an Update that begins as soon as another has failed could meet a writer that still fails those that waited.
	for i := range 200 {
		lock, err := other.BeginTx(t.Context(), &sql.TxOptions{Isolation: sql.LevelSerializable})
		if err != nil {
			t.Fatal(err)
		}
		err = s.Update(t.Context(), func(ports.Tx) error { t.Error("fn ran"); return nil })
		if !errors.Is(err, domain.ErrUnavailable) {
			t.Errorf("got %v, want %v", err, domain.ErrUnavailable)
		}
		if err := lock.Rollback(); err != nil {
			t.Fatal(err)
		}
		add(t, s, i)
	}
}

func TestUpdate_GoexitRollsBack(t *testing.T) {
	s := openNew(t)
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
	add(t, s, 1)
	wantChallenges(t, s, 1)
}

func TestClose_DrainsThenRejects(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keylodge.db")
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	closed := make(chan error, 1)
	const callers = 4 * maxBatch // so that some still wait after the first commit
	for i, err := range updateTogether(t, s, callers, addNumbered, func(ports.Tx) error {
		go func() { closed <- s.Close() }()
		<-s.closing
		return nil
	}) {
		if err != nil {
			t.Errorf("caller %d: %v", i, err)
		}
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
	wantChallenges(t, openAt(t, path), callers)
}

// BenchmarkUpdate compares one caller with callers that share commits.
func BenchmarkUpdate(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			s := openNew(b)
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

// updateTogether runs job of n callers in one transaction: an Update keeps the writer busy until all of them wait, then runs first. It
// returns the error of each caller, and that of first as the last one.
func updateTogether(t *testing.T, s *Store, n int, job func(i int, tx ports.Tx) error, first func(tx ports.Tx) error) []error {
	t.Helper()
	return callTogether(t, s, n, func(i int) error {
		return s.Update(t.Context(), func(tx ports.Tx) error { return job(i, tx) })
	}, first)
}

// callTogether is updateTogether of callers that call Update themselves.
func callTogether(t *testing.T, s *Store, n int, call func(i int) error, first func(tx ports.Tx) error) []error {
	t.Helper()
	results := make([]error, n+1)
	var callers sync.WaitGroup
	var start sync.Once // first may run again
	results[n] = s.Update(t.Context(), func(tx ports.Tx) error {
		start.Do(func() {
			for i := range n {
				callers.Go(func() { results[i] = call(i) })
			}
			storetest.AwaitBlocked(t, n, "sqlite.(*writer).update")
		})
		return first(tx)
	})
	callers.Wait()
	return results
}

func noop(ports.Tx) error { return nil }

func addNumbered(i int, tx ports.Tx) error {
	return tx.Challenges.Add(context.Background(), numbered(i))
}

func setCommitHook(t *testing.T, s *Store, hook func() bool) {
	t.Helper()
	if err := s.writer.conn.Raw(func(raw any) error { raw.(driver.Conn).Raw().CommitHook(hook); return nil }); err != nil {
		t.Fatal(err)
	}
}

func numbered(i int) *domain.Challenge {
	at := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	return domain.RestoreChallenge(domain.ChallengeState{
		ID: numberedID(i), Purpose: domain.PurposeLogin, CeremonyState: make([]byte, 200), CreatedAt: at, ExpiresAt: at.Add(time.Minute),
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

func find(t *testing.T, s *Store, i int) (found *domain.Challenge, err error) {
	t.Helper()
	err = s.View(t.Context(), func(tx ports.Tx) (err error) {
		found, err = tx.Challenges.ByID(t.Context(), numberedID(i))
		return err
	})
	return found, err
}

func wantChallenges(t *testing.T, s *Store, want int) {
	t.Helper()
	var n int
	if err := s.db.QueryRowContext(t.Context(), "SELECT count(*) FROM webauthn_challenges").Scan(&n); err != nil {
		t.Fatal(err)
	}
	if n != want {
		t.Errorf("%d challenges are stored, want %d", n, want)
	}
}
