package postgres

import (
	"context"
	"errors"
	"net/url"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// With pool_mode transaction, a pooler such as PgBouncer runs each transaction on any of its connections to the server. Named
// prepared statements of different clients then share a namespace, and a client may not find its own. Behind a pooler, statements
// therefore have no names: pgx asks once for the types of parameters and results and sends the text with each execution, in one
// round trip. On a direct connection statements have names, and the server parses each once.

// isPooled reports whether a pooler is between this connection and the server. The process id in the protocol's BackendKeyData is
// then the pooler's, and differs from pg_backend_pid().
func isPooled(ctx context.Context, conn *pgx.Conn) (bool, error) {
	var pid int64
	if err := conn.QueryRow(ctx, "SELECT pg_backend_pid()", pgx.QueryExecModeExec).Scan(&pid); err != nil {
		return false, wrap("reading the server's process id", classify(ctx, conn, err))
	}
	return pid != int64(conn.PgConn().PID()), nil
}

// detectPooler is isPooled. It returns an error if transactions are not possible, as with PgBouncer's pool_mode statement.
func detectPooler(ctx context.Context, conn *pgx.Conn) (pooled bool, err error) {
	if pooled, err = isPooled(ctx, conn); err != nil || !pooled {
		return pooled, err
	}
	return pooled, wrap("beginning a transaction", errors.Join(exec(ctx, conn, "BEGIN"), exec(ctx, conn, "ROLLBACK")))
}

// twoMessageModes are the modes in which the server keeps state between two messages: a named statement, or the description of an
// unnamed one.
var twoMessageModes = []pgx.QueryExecMode{pgx.QueryExecModeCacheStatement, pgx.QueryExecModeDescribeExec}

// withoutNamedStatements returns the configuration of a connection that works behind any pooler.
func withoutNamedStatements(config *pgx.ConnConfig) *pgx.ConnConfig {
	config = config.Copy()
	disableNamedStatements(config)
	return config
}

func disableNamedStatements(config *pgx.ConnConfig) {
	if slices.Contains(twoMessageModes, config.DefaultQueryExecMode) {
		config.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	}
}

// wantsNamedStatements reports whether the URL requests named statements, which PgBouncer 1.21 and newer supports.
func wantsNamedStatements(config *pgx.ConnConfig) bool {
	u, err := url.Parse(config.ConnString())
	return err == nil && u.Query().Get("default_query_exec_mode") == "cache_statement"
}

// setBeforeConnect makes the pool open connections without named statements as soon as s.noNamedStatements is set.
func (s *Store) setBeforeConnect(config *pgxpool.Config) {
	config.BeforeConnect = func(_ context.Context, c *pgx.ConnConfig) error {
		if s.noNamedStatements.Load() {
			disableNamedStatements(c)
		}
		return nil
	}
}
