package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/keylodge/keylodge/db/column"
	"github.com/keylodge/keylodge/db/postgresdb"
)

func timestamp(t time.Time) any { return t }

// statementQueue holds statements that wait for the next round trip.
type statementQueue struct {
	batch pgx.Batch
	none  []error // of each statement: its error if it changes no row, or nil
	own   int     // the first statement of the Update that runs; those before it belong to earlier Updates of its group
}

// expects reports whether a statement in the queue must change a row.
func (q *statementQueue) expects() bool {
	return slices.ContainsFunc(q.none, func(err error) bool { return err != nil })
}

// hasOwn reports whether statements of the Update that runs are in the queue.
func (q *statementQueue) hasOwn() bool { return q.batch.Len() > q.own }

// send sends the queued statements and another one, in one round trip. It returns the result of the latter, or the error of a queued
// statement.
func (a *attempt) send(ctx context.Context, statement string, arguments ...any) (pgx.BatchResults, error) {
	a.enqueue(nil, statement, arguments...)
	return a.exchange(ctx, 1)
}

// flush sends the queued statements and returns the first error.
func (a *attempt) flush(ctx context.Context) error {
	results, err := a.exchange(ctx, 0)
	if err != nil {
		return err
	}
	return results.Close()
}

// exchange sends the queued statements. It returns the results of the last ones, or the first error of those before them.
func (a *attempt) exchange(ctx context.Context, last int) (pgx.BatchResults, error) {
	queue := a.queue
	a.queue = statementQueue{}
	results := a.conn.SendBatch(ctx, &queue.batch)
	var unmet error
	for i := range queue.batch.Len() - last {
		tag, err := results.Exec()
		if err != nil {
			_ = results.Close() // the same error
			if !a.begun && stateOf(err) == featureNotSupported {
				err = fmt.Errorf("%w: %w", errReplica, err)
			}
			return nil, err
		}
		a.begun = true
		switch none := queue.none[i]; {
		case none == nil:
		case tag.RowsAffected() > 0:
			a.wrote = true
		case i < queue.own:
			a.failure = none // of the whole group, because the Update that runs has done nothing wrong
			fallthrough
		default:
			unmet = cmp.Or(unmet, none)
		}
	}
	if unmet == nil {
		return results, nil
	}
	if err := results.Close(); err != nil {
		return nil, err
	}
	a.unmet = unmet
	return nil, unmet
}

// enqueue adds a statement. None is its error if it changes no row, or nil.
func (a *attempt) enqueue(none error, statement string, arguments ...any) {
	a.queue.batch.Queue(statement, column.Arguments(arguments, timestamp)...)
	a.queue.none = append(a.queue.none, none)
}

// Exec implements postgresdb.DBTX.
func (a *attempt) Exec(ctx context.Context, statement string, arguments ...any) (pgconn.CommandTag, error) {
	if err := a.usable(statement); err != nil {
		return pgconn.CommandTag{}, err
	}
	results, err := a.send(ctx, statement, arguments...)
	if err != nil {
		return pgconn.CommandTag{}, a.recordError(ctx, err)
	}
	tag, err := results.Exec()
	if closeErr := results.Close(); err == nil {
		err = closeErr
	}
	a.wrote = a.wrote || tag.RowsAffected() > 0
	return tag, a.recordError(ctx, err)
}

// Query implements postgresdb.DBTX.
func (a *attempt) Query(ctx context.Context, statement string, arguments ...any) (pgx.Rows, error) {
	if err := a.usable(statement); err != nil {
		return nil, err
	}
	a.wrote = a.wrote || !reads(statement)
	results, err := a.send(ctx, statement, arguments...)
	if err != nil {
		return nil, a.recordError(ctx, err)
	}
	rows, err := results.Query()
	return observedRows{rows, results, a, ctx}, a.recordError(ctx, err)
}

// QueryRow implements postgresdb.DBTX.
func (a *attempt) QueryRow(ctx context.Context, statement string, arguments ...any) pgx.Row {
	if err := a.usable(statement); err != nil {
		return failedRow{err}
	}
	a.wrote = a.wrote || !reads(statement) // such as DELETE … RETURNING
	results, err := a.send(ctx, statement, arguments...)
	if err != nil {
		return failedRow{a.recordError(ctx, err)}
	}
	return observedRow{results, a, ctx}
}

// usable returns an error if the transaction has ended or failed, or if a View is to write: without a snapshot, the server does not
// know that its statements only read.
func (a *attempt) usable(statement string) error {
	switch {
	case a.ended:
		return pgx.ErrTxClosed
	case a.readOnly && !reads(statement):
		return errViewWrites
	case a.failure != nil:
		return a.failure
	}
	return a.unmet
}

// reads reports whether a statement can only read.
func reads(statement string) bool {
	_, text, _ := strings.Cut(statement, "\n") // after the comment that names it
	return strings.HasPrefix(text, "SELECT")
}

var errViewWrites = errors.New("a View must not write")

// queueing is an attempt of which Exec only queues the statement, and reports success.
type queueing struct{ *attempt }

var _ postgresdb.DBTX = queueing{}

func (q queueing) Exec(_ context.Context, statement string, arguments ...any) (pgconn.CommandTag, error) {
	if err := q.usable(statement); err != nil {
		return pgconn.CommandTag{}, err
	}
	q.wrote = true
	q.enqueue(nil, statement, arguments...)
	return pgconn.CommandTag{}, nil
}

// expecting is queueing of a statement that must change a row, for which Exec reports one. If it changes none, the next statement, or
// the commit, returns the error none, and the Update that it belongs to is not committed.
type expecting struct {
	*attempt
	none error
}

func (e expecting) Exec(_ context.Context, statement string, arguments ...any) (pgconn.CommandTag, error) {
	if err := e.usable(statement); err != nil {
		return pgconn.CommandTag{}, err
	}
	e.enqueue(e.none, statement, arguments...)
	return pgconn.NewCommandTag("UPDATE 1"), nil
}

// observedRows and observedRow pass the results of a query on, report its error to the attempt, and end the round trip.
type (
	observedRows struct {
		pgx.Rows
		results pgx.BatchResults
		attempt *attempt
		ctx     context.Context
	}
	observedRow struct {
		results pgx.BatchResults
		attempt *attempt
		ctx     context.Context
	}
	failedRow struct{ err error }
)

func (r observedRows) Err() error { return r.attempt.recordError(r.ctx, r.Rows.Err()) }

func (r observedRows) Close() {
	r.Rows.Close()
	_ = r.attempt.recordError(r.ctx, r.results.Close())
}

func (r observedRow) Scan(destinations ...any) error {
	err := r.results.QueryRow().Scan(destinations...)
	if closeErr := r.results.Close(); err == nil {
		err = closeErr
	}
	return r.attempt.recordError(r.ctx, err)
}

func (r failedRow) Scan(...any) error { return r.err }
