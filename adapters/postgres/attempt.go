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

// The statements that begin a transaction. A commit after beginAsync waits neither for the disk nor for a standby. A transaction
// that writes is not declared READ WRITE, so that default_transaction_read_only applies.
var (
	beginSnapshot = []string{"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"}
	beginWrite    = []string{"BEGIN ISOLATION LEVEL SERIALIZABLE"}
	beginAsync    = []string{"BEGIN ISOLATION LEVEL SERIALIZABLE", "SET LOCAL synchronous_commit = off"}
	// Two groups may lock the same rows in different orders. PostgreSQL would detect the deadlock after a second.
	beginGroup = []string{"BEGIN ISOLATION LEVEL SERIALIZABLE", "SET LOCAL lock_timeout = '100ms'"}
)

// attempt is one run of fn of a View or Update, or of several Updates: a transaction on a connection of its own. It runs every statement and records the
// first failure, so that a transaction that PostgreSQL has aborted is never reported as committed, even if fn ignores the error.
//
// A round trip costs more than most statements. So statements whose result is not needed, such as BEGIN and an INSERT, wait in the
// queue. The next other statement, or COMMIT, takes them along in one round trip, and returns their error.
type attempt struct {
	conn     *pgxpool.Conn
	queue    statementQueue
	readOnly bool
	begun    bool // the server has begun the transaction
	ended    bool
	wrote    bool // by the Update that runs; a statement that is queued counts
	// unmet is the error of a queued statement of the Update that runs, which has changed no row (see expecting). Only that Update
	// has failed.
	unmet error
	// failure is the first error of a statement. PostgreSQL has then aborted the transaction, or an earlier Update in it has failed.
	failure error
}

var _ postgresdb.DBTX = (*attempt)(nil)

// beginUpdate returns the transaction of one Update.
func (s *Store) beginUpdate(ctx context.Context) (*attempt, error) {
	if ports.HasAsyncCommit(ctx) {
		return s.beginWriting(ctx, beginAsync)
	}
	return s.beginWriting(ctx, beginWrite)
}

func (s *Store) beginWriting(ctx context.Context, begin []string) (*attempt, error) {
	a, err := s.begin(ctx, begin)
	if err == nil && s.isReadOnly(a.conn) {
		a.end(ctx)
		return nil, wrap("beginning a transaction", errReadOnly)
	}
	return a, err
}

// beginView returns a read-only transaction. Without a snapshot, each of its statements is a transaction of its own.
func (s *Store) beginView(ctx context.Context) (*attempt, error) {
	begin := beginSnapshot
	if !ports.NeedsSnapshot(ctx) {
		begin = nil
	}
	a, err := s.begin(ctx, begin)
	if err == nil {
		a.readOnly = true
	}
	return a, err
}

// begin returns a transaction that the first statement begins on the server.
func (s *Store) begin(ctx context.Context, statements []string) (*attempt, error) {
	conn, err := s.acquire(ctx)
	if err != nil {
		return nil, err
	}
	a := &attempt{conn: conn}
	for _, statement := range statements {
		a.enqueue(nil, statement)
	}
	return a, nil
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
	return sqlstore.New(queries{postgresdb.New(a), postgresdb.New(queueing{a}), a}, wrap)
}

// run runs fn, and returns whether to commit and the result of its Update.
func (a *attempt) run(ctx context.Context, fn func(tx ports.Tx) error) (commit bool, result error) {
	a.wrote, a.unmet = false, nil
	a.queue.own = a.queue.batch.Len()
	commit, result = ports.CommitResult(fn(a.collections()))
	switch {
	case !commit:
		return false, result
	case a.failure != nil:
		return false, wrap("committing after a failed statement", a.failure)
	case a.unmet != nil:
		return false, a.unmet
	case ctx.Err() != nil:
		return false, ctx.Err()
	}
	return true, result
}

// errUnknownResult is returned if the connection was lost after COMMIT was sent.
var errUnknownResult = fmt.Errorf("committing, with an unknown result: %w", domain.ErrUnavailable)

// commit returns nil if the changes were committed. The failure of a queued statement, a conflict, or a connection lost before COMMIT
// was sent, can be retried. Any other error is not retried, because the connection may have been lost after the COMMIT: a retry
// could apply the changes twice.
func (a *attempt) commit(ctx context.Context) error {
	if a.conn.Conn().IsClosed() {
		return wrap("committing", errLost)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	if a.queue.expects() { // the numbers of changed rows must be known before COMMIT is sent
		if err := a.flush(ctx); err != nil {
			return wrap("committing", a.recordError(ctx, err))
		}
	}
	results, err := a.send(ctx, "COMMIT")
	if stateOf(err) != "" { // of a queued statement: the server has not executed COMMIT
		return wrap("committing", a.recordError(ctx, err))
	}
	if err == nil {
		var tag pgconn.CommandTag
		tag, err = results.Exec()
		if closeErr := results.Close(); err == nil {
			err = closeErr
		}
		if err == nil && tag.String() != "COMMIT" {
			err = pgx.ErrTxCommitRollback
		}
	}
	switch {
	case err == nil:
		return nil
	case isConflict(err):
		return wrap("committing", err)
	case wasNotSent(err):
		return wrap("committing", fmt.Errorf("%w: %w", errLost, err))
	}
	return fmt.Errorf("%w: %w", errUnknownResult, err)
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
	if a.conn.Conn().PgConn().TxStatus() != 'I' {
		// The pool closes a connection whose rollback fails, which ends the transaction.
		_, _ = a.conn.Exec(ctx, "ROLLBACK")
	}
	a.ended = true
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
	if err == nil || errors.Is(err, pgx.ErrNoRows) || a.unmet != nil {
		return err
	}
	err = classify(ctx, a.conn.Conn(), err)
	if a.failure == nil {
		a.failure = err
	}
	return err
}
