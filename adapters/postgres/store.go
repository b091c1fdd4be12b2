// Package postgres keeps Keylodge's state in a PostgreSQL database.
//
// Every unit of work is a transaction on a connection of its own from a pool: serializable where it writes, one snapshot
// where it reads. A transaction that met another's is begun again; see retry.go. The SQL stays inside what CockroachDB and
// YugabyteDB take.
package postgres

import (
	"context"
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

// Store is a ports.Store in a PostgreSQL database.
type Store struct {
	newerSchema       int // see NewerSchema
	config            *pgx.ConnConfig
	pool              *pgxpool.Pool
	pooled            bool                // a pooler is in front of the server
	noNamedStatements atomic.Bool         // connections prepare no statements under a name: see pooler.go
	writers           *semaphore.Weighted // see retry.go
	closing           chan struct{}
	close             func() error
}

var _ ports.Store = (*Store)(nil)

// Open connects to the database that the URL names and brings its schema up to date. Any number of servers may do so at
// once. Its errors say what to do, and never the password.
func Open(ctx context.Context, databaseURL string) (*Store, error) {
	config, err := parse(databaseURL)
	if err != nil {
		return nil, err
	}
	return open(ctx, config)
}

func open(ctx context.Context, config *pgxpool.Config) (*Store, error) {
	pooled, err := detectPooler(ctx, config.ConnConfig)
	if err != nil {
		return nil, wrapOpen(config.ConnConfig, err)
	}
	newer, err := upgrade(ctx, config.ConnConfig, schemaFiles)
	if err != nil {
		return nil, wrapOpen(config.ConnConfig, err)
	}
	s := &Store{
		newerSchema: newer, config: config.ConnConfig, pooled: pooled,
		writers: semaphore.NewWeighted(maxWriters), closing: make(chan struct{}),
	}
	s.noNamedStatements.Store(pooled && !wantsNamedStatements(config.ConnConfig))
	s.setBeforeConnect(config)
	if s.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return nil, wrapOpen(config.ConnConfig, err)
	}
	s.close = sync.OnceValue(s.shutDown)
	return s, nil
}

// NewerSchema is the version of the schema if a newer release has made it, and 0 otherwise.
func (s *Store) NewerSchema() int { return s.newerSchema }

// View implements ports.Store. fn runs anew where it met a deadlock, as with a migration that changes what it reads, or
// lost its connection or a prepared statement.
func (s *Store) View(ctx context.Context, fn func(tx ports.Tx) error) error {
	return s.retry(ctx, func(*retryState) (cause, err error) { return s.tryView(ctx, fn) })
}

// tryView is try for a View, of which nothing is kept.
func (s *Store) tryView(ctx context.Context, fn func(tx ports.Tx) error) (cause, err error) {
	a, err := s.begin(ctx, readOptions)
	if err != nil {
		return err, err
	}
	defer a.end(ctx)
	if err := fn(a.collections()); err != nil {
		return a.failure, err
	}
	return nil, ctx.Err()
}

// Update implements ports.Store. fn runs on its caller's goroutine, and anew each time that another's transaction came in
// between.
func (s *Store) Update(ctx context.Context, fn func(tx ports.Tx) error) error {
	return s.retry(ctx, func(t *retryState) (cause, err error) { return s.tryWithSlots(ctx, t.slots(), fn) })
}

// retry does something until the database is no cause to do it again.
func (s *Store) retry(ctx context.Context, do func(*retryState) (cause, err error)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var tries retryState
	for {
		cause, err := do(&tries)
		if cause == nil {
			return err
		}
		s.resetOnFailover(cause)
		if !tries.shouldRetry(ctx, cause) {
			return s.withAdvice(err)
		}
		if err := tries.backOff(ctx); err != nil {
			return err
		}
	}
}

// tryWithSlots is try with so many of the writers' turns.
func (s *Store) tryWithSlots(ctx context.Context, turns int64, fn func(tx ports.Tx) error) (cause, err error) {
	if err := s.writers.Acquire(ctx, turns); err != nil {
		return nil, err
	}
	defer s.writers.Release(turns)
	return s.try(ctx, fn)
}

// try runs fn once. The cause is what the database did to it, and nil if it was fn that did not want to be kept.
func (s *Store) try(ctx context.Context, fn func(tx ports.Tx) error) (cause, err error) {
	a, err := s.begin(ctx, writeOptions)
	if err != nil {
		return err, err
	}
	defer a.end(ctx)
	commit, result := ports.CommitResult(fn(a.collections()))
	if !commit {
		return a.failure, result
	}
	if a.failure != nil {
		return a.failure, wrap("a statement had failed before the commit", a.failure)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := a.commit(ctx); err != nil {
		return err, err
	}
	return nil, result
}

// Close waits for whatever runs and closes all connections. Views and Updates that come later get domain.ErrUnavailable.
func (s *Store) Close() error { return s.close() }

func (s *Store) shutDown() error {
	close(s.closing)
	s.pool.Close()
	return nil
}
