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
	"github.com/keylodge/keylodge/migrations"
	"github.com/keylodge/keylodge/ports"
)

var errClosed = fmt.Errorf("the database is closed: %w", domain.ErrUnavailable)

// Store is a ports.Store in a PostgreSQL database.
type Store struct {
	newer   int // see NewerSchema
	config  *pgx.ConnConfig
	pool    *pgxpool.Pool
	pooled  bool                // a pooler is in front of the server
	unnamed atomic.Bool         // connections prepare no statements under a name: see pooler.go
	writers *semaphore.Weighted // see retry.go
	closing chan struct{}
	close   func() error
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
	pooled, err := probe(ctx, config.ConnConfig)
	if err != nil {
		return nil, explain(config.ConnConfig, err)
	}
	newer, err := upgrade(ctx, config.ConnConfig, migrations.Postgres())
	if err != nil {
		return nil, explain(config.ConnConfig, err)
	}
	s := &Store{
		newer: newer, config: config.ConnConfig, pooled: pooled,
		writers: semaphore.NewWeighted(writers), closing: make(chan struct{}),
	}
	s.unnamed.Store(pooled && !wantsNames(config.ConnConfig))
	s.watchNames(config)
	if s.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return nil, explain(config.ConnConfig, err)
	}
	s.close = sync.OnceValue(s.shutDown)
	return s, nil
}

// NewerSchema is the version of the schema if a newer release has made it, and 0 otherwise.
func (s *Store) NewerSchema() int { return s.newer }

// View implements ports.Store. fn runs anew where it met a deadlock, as with a migration that changes what it reads, or
// lost its connection or a prepared statement.
func (s *Store) View(ctx context.Context, fn func(tx ports.Tx) error) error {
	return s.again(ctx, func(*tries) (cause, err error) { return s.look(ctx, fn) })
}

// look is try for a View, of which nothing is kept.
func (s *Store) look(ctx context.Context, fn func(tx ports.Tx) error) (cause, err error) {
	a, err := s.begin(ctx, reading)
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
	return s.again(ctx, func(t *tries) (cause, err error) { return s.inTurn(ctx, t.turns(), fn) })
}

// again does something until the database is no cause to do it again.
func (s *Store) again(ctx context.Context, do func(*tries) (cause, err error)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var tries tries
	for {
		cause, err := do(&tries)
		if cause == nil {
			return err
		}
		s.leaveIfMoved(cause)
		if !tries.again(ctx, cause) {
			return s.advised(err)
		}
		if err := tries.pause(ctx); err != nil {
			return err
		}
	}
}

// inTurn is try with so many of the writers' turns.
func (s *Store) inTurn(ctx context.Context, turns int64, fn func(tx ports.Tx) error) (cause, err error) {
	if err := s.writers.Acquire(ctx, turns); err != nil {
		return nil, err
	}
	defer s.writers.Release(turns)
	return s.try(ctx, fn)
}

// try runs fn once. The cause is what the database did to it, and nil if it was fn that did not want to be kept.
func (s *Store) try(ctx context.Context, fn func(tx ports.Tx) error) (cause, err error) {
	a, err := s.begin(ctx, writing)
	if err != nil {
		return err, err
	}
	defer a.end(ctx)
	if err := fn(a.collections()); err != nil {
		return a.failure, err
	}
	if a.failure != nil {
		return a.failure, fault("a statement had failed before the commit", a.failure)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	err = a.commit(ctx)
	return err, err
}

// Close waits for whatever runs and closes all connections. Views and Updates that come later get domain.ErrUnavailable.
func (s *Store) Close() error { return s.close() }

func (s *Store) shutDown() error {
	close(s.closing)
	s.pool.Close()
	return nil
}
