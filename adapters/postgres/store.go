// Package postgres stores Keylodge's state in a PostgreSQL database.
//
// Each View is one REPEATABLE READ, read-only transaction, unless it needs no snapshot. Updates run in SERIALIZABLE transactions;
// those that wait for each other share one, see group.go. Statements whose result is not needed are sent with the next one; pipeline.go has
// the rules. A transaction that conflicts with another one is rolled back and retried; retry.go has the rules. The SQL
// uses only features that CockroachDB and YugabyteDB have, too.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/semaphore"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

var errClosed = fmt.Errorf("the database is closed: %w", domain.ErrUnavailable)

// Store is a ports.Store in a PostgreSQL database. Its invariants:
//   - What fn of an Update has read is still true when its changes are committed, because Update is serializable and retries
//     conflicts.
//   - fn is not retried if its changes may have been committed: a connection lost during COMMIT is an error.
//   - Updates of this node run one after the other and share transactions, unless a transaction that they shared was rolled back, or
//     they commit asynchronously. At most maxWriters transactions write at the same time.
//   - After a sign of a failover, all connections of the pool are replaced.
type Store struct {
	newerSchema       int // returned by NewerSchema
	config            *pgx.ConnConfig
	pool              *pgxpool.Pool
	pooled            bool                // a pooler is in front of the server
	noNamedStatements atomic.Bool         // new connections use no named statements, see pooler.go
	writers           *semaphore.Weighted // write slots, see retry.go
	lane              lane                // of the Updates that may share a transaction, see group.go
	closing           chan struct{}
	close             func() error
}

var _ ports.Store = (*Store)(nil)

// Open connects to the database that the URL names and upgrades its schema. Several servers may call it at the same time. Its errors
// name the fix and never contain the password.
func Open(ctx context.Context, databaseURL string) (*Store, error) {
	config, err := parse(databaseURL)
	if err != nil {
		return nil, err
	}
	return open(ctx, config)
}

func open(ctx context.Context, config *pgxpool.Config) (*Store, error) {
	pooled, err := checkServer(ctx, config.ConnConfig)
	if err != nil {
		return nil, wrapOpen(config.ConnConfig, err)
	}
	newer, err := upgrade(ctx, config.ConnConfig, SchemaFiles)
	if err != nil {
		return nil, wrapOpen(config.ConnConfig, err)
	}
	s := &Store{
		newerSchema: newer, config: config.ConnConfig, pooled: pooled,
		writers: semaphore.NewWeighted(maxWriters), lane: newLane(), closing: make(chan struct{}),
	}
	s.noNamedStatements.Store(pooled && !wantsNamedStatements(config.ConnConfig))
	s.setBeforeConnect(config)
	if s.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return nil, wrapOpen(config.ConnConfig, err)
	}
	s.close = sync.OnceValue(s.shutDown)
	return s, nil
}

// checkServer reports whether a pooler is in front of the server. It returns an error if tables of another program have the names of
// Keylodge's. It changes nothing.
func checkServer(ctx context.Context, config *pgx.ConnConfig) (pooled bool, err error) {
	conn, err := pgx.ConnectConfig(ctx, withoutNamedStatements(config))
	if err != nil {
		return false, wrap("connecting", err)
	}
	defer func() { err = closeConn(ctx, conn, err) }()
	if pooled, err = detectPooler(ctx, conn); err != nil {
		return pooled, err
	}
	_, _, err = ownVersion(ctx, conn)
	return pooled, err
}

// NewerSchema returns the version of the schema if a newer release has upgraded it, else 0.
func (s *Store) NewerSchema() int { return s.newerSchema }

// View implements ports.Store. It retries fn after a deadlock (for example with a migration that changes a table that fn reads), a
// lost connection, and an invalid prepared statement.
func (s *Store) View(ctx context.Context, fn func(tx ports.Tx) error) error {
	return s.retry(ctx, func(*retryState) (cause, err error) { return s.tryView(ctx, fn) })
}

// tryView runs fn once in a read-only transaction. Its results are those of tryUpdate.
func (s *Store) tryView(ctx context.Context, fn func(tx ports.Tx) error) (cause, err error) {
	a, err := s.beginView(ctx)
	if err != nil {
		return err, err
	}
	defer a.end(ctx)
	if err := fn(a.collections()); err != nil {
		return a.failure, err
	}
	return nil, ctx.Err()
}

// Update implements ports.Store. fn runs on the caller's goroutine, and again after each conflict with another transaction.
func (s *Store) Update(ctx context.Context, fn func(tx ports.Tx) error) error {
	return s.retry(ctx, func(state *retryState) (cause, err error) {
		if !state.alone && !ports.HasAsyncCommit(ctx) {
			return s.updateInGroup(ctx, fn)
		}
		slots := state.slots()
		if err := s.writers.Acquire(ctx, slots); err != nil {
			return nil, err
		}
		defer s.writers.Release(slots)
		return s.tryUpdate(ctx, fn)
	})
}

// retry calls do until it returns no cause, or until the cause is not retried. A cause is an error of the database; err is what the
// caller of retry gets.
func (s *Store) retry(ctx context.Context, do func(*retryState) (cause, err error)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var state retryState
	for {
		cause, err := do(&state)
		if cause == nil {
			return err
		}
		s.resetOnFailover(cause)
		switch {
		case state.shouldRetry(ctx, cause):
		case errors.Is(err, errRepeat): // ctx has ended
			return ctx.Err()
		default:
			return s.withAdvice(err)
		}
		if err := state.backOff(ctx); err != nil {
			return err
		}
	}
}

// tryUpdate runs fn once in a write transaction of its own. The cause is the error of the database that ended the transaction. It is
// nil if the transaction was committed, or if fn decided to roll back.
func (s *Store) tryUpdate(ctx context.Context, fn func(tx ports.Tx) error) (cause, err error) {
	a, err := s.beginUpdate(ctx)
	if err != nil {
		return err, err
	}
	defer a.end(ctx)
	commit, result := a.run(ctx, fn)
	if !commit {
		return a.failure, result
	}
	if err := a.commit(ctx); err != nil {
		return err, err
	}
	return nil, result
}

// OtherCommits implements ports.Store. It does not observe other nodes: notifications of PostgreSQL do not pass through a transaction
// pooler.
func (s *Store) OtherCommits() (number uint64, known bool) { return 0, true }

// Close waits for the running transactions, then closes all connections. Every later View and Update returns domain.ErrUnavailable.
func (s *Store) Close() error { return s.close() }

func (s *Store) shutDown() error {
	close(s.closing)
	s.pool.Close()
	return nil
}
