package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/keylodge/keylodge/db/column"
	"github.com/keylodge/keylodge/db/sqlitedb"
)

// statements runs the statements of one connection and prepares each once. It ignores the end of a caller's context, because SQLite
// would roll back the whole transaction of an interrupted write, which other callers share.
type statements struct {
	conn     *sql.Conn
	prepared map[string]*sql.Stmt
}

var _ sqlitedb.DBTX = (*statements)(nil)

// PrepareContext returns the prepared statement.
func (s *statements) PrepareContext(ctx context.Context, query string) (*sql.Stmt, error) {
	if statement, found := s.prepared[query]; found {
		return statement, nil
	}
	statement, err := s.conn.PrepareContext(context.WithoutCancel(ctx), query)
	if err == nil {
		s.prepared[query] = statement
	}
	return statement, err
}

// ExecContext implements sqlitedb.DBTX.
func (s *statements) ExecContext(ctx context.Context, query string, arguments ...any) (sql.Result, error) {
	statement, err := s.PrepareContext(ctx, query) //nolint:sqlclosecheck // kept for the next call; close closes it
	if err != nil {
		return nil, err
	}
	return statement.ExecContext(context.WithoutCancel(ctx), column.Arguments(arguments, micros)...)
}

// QueryContext implements sqlitedb.DBTX.
func (s *statements) QueryContext(ctx context.Context, query string, arguments ...any) (*sql.Rows, error) {
	statement, err := s.PrepareContext(ctx, query) //nolint:sqlclosecheck // kept for the next call; close closes it
	if err != nil {
		return nil, err
	}
	return statement.QueryContext(context.WithoutCancel(ctx), column.Arguments(arguments, micros)...)
}

// QueryRowContext implements sqlitedb.DBTX.
func (s *statements) QueryRowContext(ctx context.Context, query string, arguments ...any) *sql.Row {
	ctx, arguments = context.WithoutCancel(ctx), column.Arguments(arguments, micros)
	statement, err := s.PrepareContext(ctx, query) //nolint:sqlclosecheck // kept for the next call; close closes it
	if err != nil {
		return s.conn.QueryRowContext(ctx, query, arguments...) // returns the error of the failed preparation
	}
	return statement.QueryRowContext(ctx, arguments...)
}

func (s *statements) close() error {
	var errs []error
	for _, statement := range s.prepared {
		errs = append(errs, statement.Close())
	}
	return errors.Join(errs...)
}

// micros encodes a time for a column: microseconds since the Unix epoch.
func micros(t time.Time) any { return t.UnixMicro() }

// queries sets truncatePending after it has deleted a user, or an e-mail without a user: the write-ahead log still contains the deleted
// rows.
type queries struct {
	*sqlitedb.Queries
	truncatePending *bool
}

// RemoveUser implements sqlitedb.Querier.
func (q queries) RemoveUser(ctx context.Context, id string) (int64, error) {
	removed, err := q.Queries.RemoveUser(ctx, id)
	if removed > 0 {
		*q.truncatePending = true
	}
	return removed, err
}

// RemoveOutboxEmail implements sqlitedb.Querier.
func (q queries) RemoveOutboxEmail(ctx context.Context, id string) (column.Text, error) {
	user, err := q.Queries.RemoveOutboxEmail(ctx, id)
	if err == nil {
		q.truncateIfOrphaned(user)
	}
	return user, err
}

// DeleteExpiredOutboxEmails implements sqlitedb.Querier.
func (q queries) DeleteExpiredOutboxEmails(ctx context.Context, expired column.Time, upTo int64) ([]column.Text, error) {
	users, err := q.Queries.DeleteExpiredOutboxEmails(ctx, expired, upTo)
	q.truncateIfOrphaned(users...)
	return users, err
}

func (q queries) truncateIfOrphaned(users ...column.Text) {
	for _, user := range users {
		if user == "" {
			*q.truncatePending = true
		}
	}
}
