package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/keylodge/keylodge/adapters/sqlstore"
	"github.com/keylodge/keylodge/db/column"
	"github.com/keylodge/keylodge/db/postgresdb"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// COMMIT and ROLLBACK run to their end even if the caller's context has ended, within these timeouts: the result of a COMMIT must be
// known.
const (
	commitTimeout   = 10 * time.Second
	rollbackTimeout = 2 * time.Second
)

var (
	readOptions  = pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	writeOptions = pgx.TxOptions{IsoLevel: pgx.Serializable} // default_transaction_read_only applies
	// The commit waits neither for the disk nor for a standby.
	asyncOptions = pgx.TxOptions{BeginQuery: "BEGIN ISOLATION LEVEL SERIALIZABLE; SET LOCAL synchronous_commit = off"}
)

// attempt is one run of fn of a View or Update: a transaction on a connection of its own. It runs every statement and records the
// first failure, so that a transaction that PostgreSQL has aborted is never reported as committed, even if fn ignores the error.
type attempt struct {
	conn *pgxpool.Conn
	tx   pgx.Tx
	// failure is the first error of a statement. PostgreSQL has then aborted the transaction.
	failure error
}

var _ postgresdb.DBTX = (*attempt)(nil)

func (s *Store) beginUpdate(ctx context.Context) (*attempt, error) {
	if ports.HasAsyncCommit(ctx) {
		return s.begin(ctx, asyncOptions)
	}
	return s.begin(ctx, writeOptions)
}

func (s *Store) begin(ctx context.Context, options pgx.TxOptions) (*attempt, error) {
	conn, err := s.acquire(ctx)
	if err != nil {
		return nil, err
	}
	if options != readOptions && s.isReadOnly(conn) {
		conn.Release()
		return nil, wrap("beginning a transaction", errReadOnly)
	}
	tx, err := conn.BeginTx(ctx, options)
	if err != nil {
		defer conn.Release()
		err = classify(ctx, conn.Conn(), err)
		if stateOf(err) == featureNotSupported {
			err = fmt.Errorf("%w: %w", errReplica, err)
		}
		return nil, wrap("beginning a transaction", err)
	}
	return &attempt{conn: conn, tx: tx}, nil
}

// isReadOnly reports whether the server's transactions are read-only by default. An operator sets this, or a provider whose disk is
// almost full. Behind a pooler the parameter may be outdated, so isReadOnly returns false and the first write fails instead.
func (s *Store) isReadOnly(conn *pgxpool.Conn) bool {
	return !s.pooled && conn.Conn().PgConn().ParameterStatus("default_transaction_read_only") == "on"
}

func (s *Store) acquire(ctx context.Context) (*pgxpool.Conn, error) {
	select {
	case <-s.closing:
		return nil, errClosed
	default:
	}
	conn, err := s.pool.Acquire(ctx)
	if err == nil {
		return conn, nil
	}
	if err := contextError(ctx, err); err != nil {
		return nil, err
	}
	select {
	case <-s.closing:
		return nil, errClosed
	default:
		return nil, wrap("connecting", err)
	}
}

func (a *attempt) collections() ports.Tx {
	return sqlstore.New(queries{postgresdb.New(a)}, wrap)
}

// commit returns nil if the changes were committed. A conflict, or a connection lost before COMMIT was sent, can be retried. Any
// other error is not retried, because the connection may have been lost after the COMMIT: a retry could apply the changes twice.
func (a *attempt) commit(ctx context.Context) error {
	if a.tx.Conn().IsClosed() {
		return wrap("committing", errLost)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	err := a.tx.Commit(ctx)
	switch {
	case err == nil:
		return nil
	case isConflict(err):
		return wrap("committing", err)
	case wasNotSent(err):
		return wrap("committing", fmt.Errorf("%w: %w", errLost, err))
	}
	return fmt.Errorf("committing, with an unknown result: %w: %w", domain.ErrUnavailable, err)
}

// wasNotSent reports whether no byte of a statement reached the network. pgconn.SafeToRetry is not enough: it also returns true if
// the response to a statement could not be read.
func wasNotSent(err error) bool {
	var network *net.OpError
	return pgconn.SafeToRetry(err) && errors.As(err, &network) && network.Op == "write"
}

// end rolls back what was not committed and releases the connection. It is deferred, so it also runs if fn panics or exits its
// goroutine.
func (a *attempt) end(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTimeout)
	defer cancel()
	// The pool closes a connection whose rollback fails, which ends the transaction.
	_ = a.tx.Rollback(ctx)
	a.conn.Release()
}

// classify returns the context's error if the context has ended, adds errLost if the connection was lost, and else returns err. pgx
// closes a connection that could not begin a transaction; the server's error is then the reason, unless it is FATAL.
func classify(ctx context.Context, conn *pgx.Conn, err error) error {
	if err := contextError(ctx, err); err != nil {
		return err
	}
	var failure *pgconn.PgError
	if conn.IsClosed() && (!errors.As(err, &failure) || failure.SeverityUnlocalized == "FATAL") {
		return fmt.Errorf("%w: %w", errLost, err)
	}
	return err
}

func (a *attempt) recordError(ctx context.Context, err error) error {
	if err == nil || errors.Is(err, pgx.ErrNoRows) {
		return err
	}
	err = classify(ctx, a.tx.Conn(), err)
	if a.failure == nil {
		a.failure = err
	}
	return err
}

func timestamp(t time.Time) any { return t }

// Exec implements postgresdb.DBTX.
func (a *attempt) Exec(ctx context.Context, statement string, arguments ...any) (pgconn.CommandTag, error) {
	tag, err := a.tx.Exec(ctx, statement, column.Arguments(arguments, timestamp)...)
	return tag, a.recordError(ctx, err)
}

// Query implements postgresdb.DBTX.
func (a *attempt) Query(ctx context.Context, statement string, arguments ...any) (pgx.Rows, error) {
	rows, err := a.tx.Query(ctx, statement, column.Arguments(arguments, timestamp)...)
	return observedRows{rows, a, ctx}, a.recordError(ctx, err)
}

// QueryRow implements postgresdb.DBTX.
func (a *attempt) QueryRow(ctx context.Context, statement string, arguments ...any) pgx.Row {
	return observedRow{a.tx.QueryRow(ctx, statement, column.Arguments(arguments, timestamp)...), a, ctx}
}

// observedRows and observedRow pass the results of a query on and report its error to the attempt.
type (
	observedRows struct {
		pgx.Rows
		attempt *attempt
		ctx     context.Context
	}
	observedRow struct {
		pgx.Row
		attempt *attempt
		ctx     context.Context
	}
)

func (r observedRows) Err() error { return r.attempt.recordError(r.ctx, r.Rows.Err()) }

func (r observedRow) Scan(destinations ...any) error {
	return r.attempt.recordError(r.ctx, r.Row.Scan(destinations...))
}
