package postgres

import (
	"context"
	"errors"
	"net/url"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// A pooler such as PgBouncer, whose pool_mode is transaction, gives each transaction another connection to the server. Prepared
// statements have names there that several clients use, and that one of them does not find again. Behind a pooler statements
// therefore have no names: pgx asks once for the types of their parameters and results, and sends the text each time, still
// in one round trip. On a direct connection named statements stay, which the server parses once.

// isPooled reports whether a pooler is between this connection and the server: the process id in the protocol's
// BackendKeyData is then the pooler's own, and not that of the server's process.
func isPooled(ctx context.Context, conn *pgx.Conn) (bool, error) {
	var pid int64
	if err := conn.QueryRow(ctx, "SELECT pg_backend_pid()", pgx.QueryExecModeExec).Scan(&pid); err != nil {
		return false, wrap("asking for the server's process", classify(ctx, conn, err))
	}
	return pid != int64(conn.PgConn().PID()), nil
}

// detectPooler is isPooled on a connection of its own. It fails if there can be no transactions, as under PgBouncer's pool_mode
// statement.
func detectPooler(ctx context.Context, config *pgx.ConnConfig) (pooled bool, err error) {
	conn, err := pgx.ConnectConfig(ctx, withoutNamedStatements(config))
	if err != nil {
		return false, wrap("connecting", err)
	}
	defer func() { err = closeConn(ctx, conn, err) }()
	if pooled, err = isPooled(ctx, conn); err != nil || !pooled {
		return pooled, err
	}
	return pooled, wrap("beginning a transaction", errors.Join(exec(ctx, conn, "BEGIN"), exec(ctx, conn, "ROLLBACK")))
}

// twoMessageModes lists the modes that let the server keep something between two messages: a named statement, or the description
// of an unnamed one.
var twoMessageModes = []pgx.QueryExecMode{pgx.QueryExecModeCacheStatement, pgx.QueryExecModeDescribeExec}

// withoutNamedStatements is the configuration of a connection that works behind any pooler.
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

// wantsNamedStatements reports whether the URL asks for named statements, which PgBouncer 1.21 and newer can follow.
func wantsNamedStatements(config *pgx.ConnConfig) bool {
	u, err := url.Parse(config.ConnString())
	return err == nil && u.Query().Get("default_query_exec_mode") == "cache_statement"
}

// setBeforeConnect has the connections of a pool opened without named statements as soon as the store knows that it has to.
func (s *Store) setBeforeConnect(config *pgxpool.Config) {
	config.BeforeConnect = func(_ context.Context, c *pgx.ConnConfig) error {
		if s.noNamedStatements.Load() {
			disableNamedStatements(c)
		}
		return nil
	}
}
