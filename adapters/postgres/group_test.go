package postgres

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/keylodge/keylodge/acceptance/testkit/postgresserver"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
	"github.com/keylodge/keylodge/ports/storetest"
)

// Requirement: Durability-concurrency
func TestUpdate_GroupCommit(t *testing.T) {
	s := openNew(t)
	const callers = 100
	for i, err := range callTogether(t, s, callers, func(i int) error {
		return s.Update(t.Context(), func(tx ports.Tx) error { return addAfterRead(tx, i) })
	}) {
		if err != nil {
			t.Errorf("caller %d: %v", i, err)
		}
	}
	wantChallenges(t, s, callers)
	if n := transactions(t, s); n != 2 {
		t.Errorf("%d callers took %d transactions, want 2: one with %d of them, and one with the others", callers, n, maxGroup-1)
	}
}

// An Update that fails before a write leaves the others in their transaction. After a write, all of them run again.
// Requirement: Durability-concurrency
func TestUpdate_FailureInGroup(t *testing.T) {
	const callers = 8
	failed := errors.New("failed")
	for name, c := range map[string]struct {
		fail func(ctx context.Context, cancel context.CancelFunc, i int, tx ports.Tx) error // of the fourth caller that runs
		want error                                                                          // nil for an error of the database
		runs int32                                                                          // of the first caller that runs
	}{
		"before a write": {
			func(context.Context, context.CancelFunc, int, ports.Tx) error { return failed }, failed, 1,
		},
		"after a write without effect": {
			func(ctx context.Context, _ context.CancelFunc, i int, tx ports.Tx) error {
				return errors.Join(tx.Challenges.Consume(ctx, numberedID(i)), readNothing(tx))
			}, domain.ErrChallengeNotFound, 1,
		},
		"after a write without effect, of which the error is ignored": {
			func(ctx context.Context, _ context.CancelFunc, i int, tx ports.Tx) error {
				err := tx.Challenges.Consume(ctx, numberedID(i))
				for range 2 {
					if _, later := tx.SigningKeys.All(ctx); !errors.Is(later, domain.ErrChallengeNotFound) {
						return errors.Join(errors.New("a statement succeeded after one that had no effect"), later)
					}
				}
				return err
			}, domain.ErrChallengeNotFound, 1,
		},
		"after a write without effect that is queued": {
			func(ctx context.Context, _ context.CancelFunc, i int, tx ports.Tx) error {
				return tx.Challenges.Consume(ctx, numberedID(i))
			}, domain.ErrChallengeNotFound, 2,
		},
		"after a write without effect, and one with": {
			func(ctx context.Context, _ context.CancelFunc, i int, tx ports.Tx) error {
				return errors.Join(tx.Challenges.Consume(ctx, numberedID(i)), tx.Challenges.Add(ctx, numbered(i)), readNothing(tx))
			}, domain.ErrChallengeNotFound, 2,
		},
		"after a write that is queued": {
			func(ctx context.Context, _ context.CancelFunc, i int, tx ports.Tx) error {
				return errors.Join(tx.Challenges.Add(ctx, numbered(i)), failed)
			}, failed, 2,
		},
		"after a write": {
			func(_ context.Context, _ context.CancelFunc, i int, tx ports.Tx) error {
				return errors.Join(addAfterRead(tx, i), readNothing(tx), failed)
			}, failed, 2,
		},
		"after a write that returns the deleted row": {
			func(ctx context.Context, _ context.CancelFunc, _ int, tx ports.Tx) error {
				_, err := tx.RecoveryGrants.Take(ctx, domain.TokenDigest{})
				return errors.Join(err, failed)
			}, failed, 2,
		},
		"canceled after a write": {
			func(_ context.Context, cancel context.CancelFunc, i int, tx ports.Tx) error {
				cancel()
				return addAfterRead(tx, i)
			}, context.Canceled, 2,
		},
		"a panic after a write": {
			func(_ context.Context, _ context.CancelFunc, i int, tx ports.Tx) error {
				panic(errors.Join(addAfterRead(tx, i), failed))
			}, failed, 2,
		},
		"a statement that PostgreSQL rejects": {
			func(ctx context.Context, _ context.CancelFunc, i int, tx ports.Tx) error {
				return errors.Join(tx.Challenges.Add(ctx, numbered(i)), tx.Challenges.Add(ctx, numbered(i)), readNothing(tx))
			}, nil, 2,
		},
		"a queued statement that PostgreSQL rejects in the statement of another caller": {
			func(ctx context.Context, _ context.CancelFunc, i int, tx ports.Tx) error {
				return errors.Join(tx.Challenges.Add(ctx, numbered(i)), tx.Challenges.Add(ctx, numbered(i)))
			}, nil, 2,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := openNew(t)
			addRecoveryGrant(t, s)
			var order atomic.Int32
			failing, first := -1, -1
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
					switch order.Add(1) {
					case 1:
						first = i
					case 4:
						failing = i
					}
					if i == failing {
						return c.fail(ctx, cancel, i, tx)
					}
					return addAfterRead(tx, i)
				})
			})
			for i, err := range results {
				switch {
				case i != failing && err != nil:
					t.Errorf("caller %d: %v", i, err)
				case i == failing && c.want != nil && !errors.Is(err, c.want), i == failing && stateOf(err) != "" && c.want != nil:
					t.Errorf("the caller that failed got %v, want %v", err, c.want)
				case i == failing && c.want == nil && stateOf(err) != uniqueViolation:
					t.Errorf("the caller that failed got %v, want SQLSTATE %s", err, uniqueViolation)
				}
			}
			if n := runs[first].Load(); n < c.runs || c.runs == 1 && n > 1 { // those that run alone may conflict
				t.Errorf("the first caller ran %d times, want %d", n, c.runs)
			}
			wantChallenges(t, s, callers-1)
			if err := s.View(t.Context(), func(tx ports.Tx) error {
				_, err := tx.RecoveryGrants.ByToken(t.Context(), domain.TokenDigest{})
				return err
			}); err != nil {
				t.Errorf("the grant that was taken by an Update that failed: %v", err)
			}
		})
	}
}

// addRecoveryGrant adds a grant whose token has the zero digest.
func addRecoveryGrant(t *testing.T, s *Store) {
	t.Helper()
	if err := s.pool.AcquireFunc(t.Context(), func(conn *pgxpool.Conn) error {
		_, err := conn.Conn().PgConn().Exec(t.Context(), `BEGIN; SET LOCAL session_replication_role = replica;
			INSERT INTO recovery_grants (user_id, token_digest, nonce, factors, created_at, expires_at)
			VALUES ('019a0000-0000-7000-0000-000000000001', decode(repeat('00', 32), 'hex'), '\x01', '["totp"]', '2026-03-01', '2026-03-02'); COMMIT`).ReadAll()
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

func TestGroupError_whoRunsAgain(t *testing.T) {
	conflict, duplicate, lock := &pgconn.PgError{Code: serializationFailure}, &pgconn.PgError{Code: uniqueViolation}, &pgconn.PgError{Code: lockNotAvailable}
	for _, c := range []struct {
		err  error
		size int
		want error
	}{
		{nil, 2, nil},
		{conflict, 1, conflict}, {conflict, 2, conflict},
		{errUnknownResult, 1, errUnknownResult}, {errUnknownResult, 2, errUnknownResult},
		{duplicate, 1, duplicate}, {duplicate, 2, errRepeat},
		{lock, 1, errRepeat}, {lock, 2, errRepeat},
		{errLost, 1, errLost}, {errLost, 2, errRepeat},
	} {
		if got := groupError(c.err, c.size); got != c.want {
			t.Errorf("%v in a group of %d: got %v, want %v", c.err, c.size, got, c.want)
		}
	}
}

// A statement that waits for its round trip when its Update fails is not sent with the next Update.
func TestUpdate_FailureBeforeQueuedWriteIsSent(t *testing.T) {
	s := openNew(t)
	add(t, s, 1000)
	failed := errors.New("failed")
	for _, err := range callTogether(t, s, 8, func(i int) error {
		return s.Update(t.Context(), func(tx ports.Tx) error {
			if i%2 == 0 {
				return addAfterRead(tx, i)
			}
			return errors.Join(tx.Challenges.Consume(t.Context(), numberedID(1000)), failed)
		})
	}) {
		if err != nil && !errors.Is(err, failed) {
			t.Error(err)
		}
	}
	wantChallenges(t, s, 5)
}

func TestUpdate_GoexitInGroup(t *testing.T) {
	s := openNew(t)
	const callers = 4
	var order atomic.Int32
	callTogether(t, s, callers, func(i int) error {
		return s.Update(t.Context(), func(tx ports.Tx) error {
			err := addAfterRead(tx, i)
			if order.Add(1) == 2 {
				runtime.Goexit()
			}
			return err
		})
	})
	wantChallenges(t, s, callers-1)
}

// A conflict with another node rolls the group back, and each of its Updates runs again.
// Requirement: Durability-concurrency
func TestUpdate_ConflictOfGroup(t *testing.T) {
	url := postgresserver.MigratedDatabase(t, migrateDatabase)
	s, other := openAt(t, url), openAt(t, url)
	add(t, s, 1000)
	const callers = 4
	var order atomic.Int32
	for i, err := range callTogether(t, s, callers, func(i int) error {
		return s.Update(t.Context(), func(tx ports.Tx) error {
			_, err := tx.Challenges.ByID(t.Context(), numberedID(1000))
			switch n := order.Add(1); {
			case n == 3:
				take(t, other, 1000) // which the group has read
			case n < 3 && err != nil, n > callers && !errors.Is(err, domain.ErrChallengeNotFound):
				t.Errorf("run %d read: %v", n, err)
			}
			return addAfterRead(tx, i)
		})
	}) {
		if err != nil {
			t.Errorf("caller %d: %v", i, err)
		}
	}
	if n := order.Load(); n < 2*callers {
		t.Errorf("%d callers ran %d times, want at least %d", callers, n, 2*callers)
	}
	wantChallenges(t, s, callers)
}

// A group that waits for a lock falls apart, so that only the Update that needs the lock waits longer.
func TestUpdate_LockInGroup(t *testing.T) {
	url := postgresserver.MigratedDatabase(t, migrateDatabase)
	s, holder := openAt(t, url), connect(t, url)
	add(t, s, 1000)
	if err := exec(t.Context(), holder, "BEGIN; SELECT FROM webauthn_challenges FOR UPDATE"); err != nil {
		t.Fatal(err)
	}
	const callers = 4
	var others, holding sync.WaitGroup
	others.Add(callers - 1)
	holding.Go(func() {
		others.Wait()
		if err := exec(context.Background(), holder, "COMMIT"); err != nil {
			t.Error(err)
		}
	})
	for i, err := range callTogether(t, s, callers, func(i int) error {
		if i == 0 {
			return s.Update(t.Context(), func(tx ports.Tx) error { return tx.Challenges.Consume(t.Context(), numberedID(1000)) })
		}
		defer others.Done()
		return s.Update(t.Context(), func(tx ports.Tx) error { return addAfterRead(tx, i) })
	}) {
		if err != nil {
			t.Errorf("caller %d: %v", i, err)
		}
	}
	holding.Wait()
	wantChallenges(t, s, callers-1)
}

// Each Update of a group gets the error of a COMMIT without a reply, and none runs again.
// Requirement: Durability-crashes
func TestUpdate_UncertainCommitOfGroup(t *testing.T) {
	s, dropReplies := openWithLostReplies(t)
	const callers = 4
	var order atomic.Int32
	for i, err := range callTogether(t, s, callers, func(i int) error {
		return s.Update(t.Context(), func(tx ports.Tx) error {
			err := addAfterRead(tx, i)
			if order.Add(1) == callers {
				dropReplies.Store(true) // from now on only COMMIT is sent, with the statement before it
			}
			return err
		})
	}) {
		if i < callers && !errors.Is(err, errUnknownResult) {
			t.Errorf("caller %d: got %v, want %v", i, err, errUnknownResult)
		}
	}
	if n := order.Load(); n != callers {
		t.Errorf("%d callers ran %d times", callers, n)
	}
	wantChallenges(t, s, callers)
}

// An Update that begins while a transaction runs sees what another node has committed before.
// Requirement: Durability-concurrency
func TestUpdate_SeesWhatOtherNodeCommittedBefore(t *testing.T) {
	url := postgresserver.MigratedDatabase(t, migrateDatabase)
	s, other := openAt(t, url), openAt(t, url)
	result := make(chan error, 1)
	var begin sync.Once
	if err := s.Update(t.Context(), func(tx ports.Tx) error {
		err := readNothing(tx) // the transaction has its snapshot now
		begin.Do(func() {
			add(t, other, 1)
			go func() {
				result <- s.Update(t.Context(), func(tx ports.Tx) error {
					return errors.Join(tx.Challenges.Consume(t.Context(), numberedID(1)), readNothing(tx))
				})
			}()
			storetest.AwaitBlocked(t, 1, "postgres.lane.enter")
		})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := <-result; err != nil {
		t.Errorf("consuming the challenge of another node: %v", err)
	}
	wantChallenges(t, s, 0)
}

// If the leader fails, those that wait run in another group.
func TestUpdate_LeaderPanics(t *testing.T) {
	s := openNew(t)
	var order atomic.Int32
	failed := errors.New("failed")
	for _, err := range callTogether(t, s, 8, func(i int) (err error) {
		defer func() {
			if panicked := recover(); panicked != nil {
				err = panicked.(error)
			}
		}()
		return s.Update(t.Context(), func(tx ports.Tx) error {
			if order.Add(1) == 1 {
				panic(errors.Join(addAfterRead(tx, i), failed))
			}
			return addAfterRead(tx, i)
		})
	}) {
		if err != nil && !errors.Is(err, failed) {
			t.Error(err)
		}
	}
	wantChallenges(t, s, 7)
}

// A caller that leaves while it waits does not run.
func TestUpdate_LeavesLane(t *testing.T) {
	s := openNew(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	result := make(chan error, 1)
	if err := s.Update(t.Context(), func(tx ports.Tx) error {
		go func() {
			result <- s.Update(ctx, func(tx ports.Tx) error { return addAfterRead(tx, 1) })
		}()
		storetest.AwaitBlocked(t, 1, "postgres.lane.enter")
		cancel()
		if err := <-result; !errors.Is(err, context.Canceled) || errors.Is(err, domain.ErrUnavailable) {
			t.Errorf("got %v, want %v", err, context.Canceled)
		}
		return addAfterRead(tx, 0)
	}); err != nil {
		t.Fatal(err)
	}
	wantChallenges(t, s, 1)
}

// callTogether lets n callers call Update while another one runs. It returns their errors.
func callTogether(t *testing.T, s *Store, n int, call func(i int) error) []error {
	t.Helper()
	results := make([]error, n)
	var callers sync.WaitGroup
	if err := s.Update(t.Context(), func(ports.Tx) error {
		for i := range n {
			callers.Go(func() { results[i] = call(i) })
		}
		storetest.AwaitBlocked(t, n, "postgres.lane.enter")
		return errors.New("the leader fails, so that one of the others leads")
	}); err == nil {
		t.Error("the leader did not fail")
	}
	callers.Wait()
	return results
}

// addAfterRead adds a challenge after a round trip.
func addAfterRead(tx ports.Tx, i int) error {
	if _, err := tx.Challenges.ByID(context.Background(), numberedID(i)); !errors.Is(err, domain.ErrChallengeNotFound) {
		return errors.Join(err, errors.New("the challenge exists"))
	}
	return tx.Challenges.Add(context.Background(), numbered(i))
}

// transactions returns the number of transactions that have added the challenges.
func transactions(t *testing.T, s *Store) (n int) {
	t.Helper()
	if err := s.pool.QueryRow(t.Context(), "SELECT count(DISTINCT xmin::text) FROM webauthn_challenges").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
