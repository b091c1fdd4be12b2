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

// Whoever waits for these waits beyond the end of their own context: half a commit is no answer.
const (
	commitTimeout   = 10 * time.Second
	rollbackTimeout = 2 * time.Second
)

var (
	readOptions  = pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	writeOptions = pgx.TxOptions{IsoLevel: pgx.Serializable} // read-only where default_transaction_read_only says so
)

// attempt is one run of a unit of work: a transaction on a connection of its own. Every statement passes through it.
type attempt struct {
	conn *pgxpool.Conn
	tx   pgx.Tx
	// failure is the first error that a statement met. PostgreSQL has given up the transaction then, whatever becomes of
	// the error on its way through fn.
	failure error
}

var _ postgresdb.DBTX = (*attempt)(nil)

func (s *Store) begin(ctx context.Context, options pgx.TxOptions) (*attempt, error) {
	conn, err := s.acquire(ctx)
	if err != nil {
		return nil, err
	}
	if options == writeOptions && s.isReadOnly(conn) {
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

// isReadOnly reports whether the server has told the connection that its transactions may only read, which an operator or a
// provider whose disk is nearly full sets. A pooler tells what may long be over: behind one, the first statement that writes
// finds out.
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

// commit returns an error that is a conflict or a connection lost before, or one that leaves open whether anything was kept: a connection may be lost
// between the commit and the word of it. To begin again would then do everything twice.
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
	return fmt.Errorf("committing, and it is not known whether that happened: %w: %w", domain.ErrUnavailable, err)
}

// wasNotSent says that not a byte of a statement reached the network. pgconn.SafeToRetry alone does not: it is also true
// for what pgx says after the answer to a statement could not be read.
func wasNotSent(err error) bool {
	var network *net.OpError
	return pgconn.SafeToRetry(err) && errors.As(err, &network) && network.Op == "write"
}

// end gives the connection back in every case, also if fn panics or ends its goroutine. What was not committed is gone.
func (a *attempt) end(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTimeout)
	defer cancel()
	// A connection that cannot even roll back is closed by this, and the transaction with it.
	_ = a.tx.Rollback(ctx)
	a.conn.Release()
}

// classify says of an error what only the connection knows: whether it is still there. pgx ends it by itself where a
// transaction could not begin, for which the server's own word is the reason.
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

// observedRows and observedRow hand on what a query found, and its attempt hears of the error at their end.
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
