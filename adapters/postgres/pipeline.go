package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/keylodge/keylodge/db/column"
	"github.com/keylodge/keylodge/db/postgresdb"
)

func timestamp(t time.Time) any { return t }

// send sends the queued statements and another one, in one round trip. It returns the result of the latter, or the error of a queued
// statement.
func (a *attempt) send(ctx context.Context, statement string, arguments ...any) (pgx.BatchResults, error) {
	a.enqueue(statement, arguments...)
	batch := a.queue
	a.queue = pgx.Batch{}
	results := a.conn.SendBatch(ctx, &batch)
	for range batch.Len() - 1 {
		if _, err := results.Exec(); err != nil {
			_ = results.Close() // the same error
			if !a.begun && stateOf(err) == featureNotSupported {
				err = fmt.Errorf("%w: %w", errReplica, err)
			}
			return nil, err
		}
		a.begun = true
	}
	return results, nil
}

func (a *attempt) enqueue(statement string, arguments ...any) {
	a.queue.Queue(statement, column.Arguments(arguments, timestamp)...)
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
	results, err := a.send(ctx, statement, arguments...)
	if err != nil {
		return failedRow{a.recordError(ctx, err)}
	}
	return observedRow{results, a, ctx}
}

// usable returns an error if the transaction has ended or failed, or if a View is to write: without a snapshot, the server does not
// know that its statements only read.
func (a *attempt) usable(statement string) error {
	_, text, _ := strings.Cut(statement, "\n") // after the comment that names it
	switch {
	case a.ended:
		return pgx.ErrTxClosed
	case a.readOnly && !strings.HasPrefix(text, "SELECT"):
		return errViewWrites
	}
	return a.failure
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
	q.enqueue(statement, arguments...)
	return pgconn.CommandTag{}, nil
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
