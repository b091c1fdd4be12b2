package postgres

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/keylodge/keylodge/adapters/sqlstore"
	"github.com/keylodge/keylodge/db/column"
	"github.com/keylodge/keylodge/ports/dbadmin"
)

// Inspect implements dbadmin.Inspector.
func (d *Database) Inspect(ctx context.Context, now time.Time, _ dbadmin.CheckOptions) dbadmin.CheckResults {
	c := checks{now: now, startedAt: time.Now()}
	conn, config, err := d.connect(ctx)
	var invalid *URLError
	if errors.As(err, &invalid) {
		c.AddError("database.server", invalid.Problem, invalid.Fix)
		return c.CheckResults
	}
	if err != nil {
		advice := adviceOn(config.ConnConfig, err)
		if advice == "" {
			advice = "read the server's log"
		}
		c.AddError("database.server", oneLine(err), advice)
		return c.CheckResults
	}
	c.conn, c.config = conn, config
	c.runAll(ctx)
	_ = closeConn(ctx, conn, nil) // the checks wrote nothing
	return c.CheckResults
}

// checks collects the results of the checks of one database.
type checks struct {
	dbadmin.CheckResults
	conn      *pgx.Conn
	config    *pgxpool.Config
	now       time.Time // the caller's time
	startedAt time.Time // the time of this process's clock at the same moment
	schema    int       // the schema's version; 0 without one
}

func (c *checks) runAll(ctx context.Context) {
	for _, check := range []func(context.Context){
		c.checkServer, c.checkPooler, c.checkTransport, c.checkClock, c.checkEncoding, c.checkSchema, c.checkPrivileges, c.checkConnections,
		c.checkTimes,
	} {
		if c.HasErrors() || ctx.Err() != nil {
			return
		}
		check(ctx)
	}
}

const minServerVersion = 15 // major version; older ones are not tested

func (c *checks) checkServer(ctx context.Context) {
	// Check database.server: the database server responds, and is a version that Keylodge supports:
	// docs/runbooks/postgresql-gone.md.
	var version string
	var number int
	if err := c.conn.QueryRow(ctx, "SELECT version(), current_setting('server_version_num')::int").Scan(&version, &number); err != nil {
		c.queryFailed("database.server", err)
		return
	}
	version, _, _ = strings.Cut(version, " (")
	result := name(c.config.ConnConfig) + " responds; it is " + version
	switch {
	case !isPostgres(version):
		c.AddWarning("database.server", result, "Keylodge is not tested with this database: read docs/operations/postgresql-and-several-nodes.md, and test upgrades on a copy")
	case number/10000 < minServerVersion:
		c.AddWarning("database.server", result, fmt.Sprintf("upgrade the server to PostgreSQL %d or newer", minServerVersion))
	default:
		c.AddOK("database.server", result)
	}
}

func (c *checks) checkPooler(ctx context.Context) {
	// Check database.pooler: a pooler is in front of the database server. The server then prepares statements without names.
	pooled, err := isPooled(ctx, c.conn)
	switch {
	case err != nil:
		c.queryFailed("database.pooler", err)
	case pooled:
		c.AddOK("database.pooler", "a pooler such as PgBouncer is in front of it, so prepared statements have no names")
	default:
		c.AddOK("database.pooler", "no pooler is in front of it")
	}
}

func (c *checks) checkTransport(context.Context) {
	// Check database.tls: the connection to the database server is encrypted, and its certificate is checked.
	conn := c.conn.PgConn().Conn()
	_, encrypted := conn.(*tls.Conn)
	c.reportTransport(conn.RemoteAddr(), encrypted, verifiesCertificate(c.config.ConnConfig.TLSConfig))
}

// reportTransport reports how the connection is protected. checked means that the server's certificate was verified.
func (c *checks) reportTransport(server net.Addr, encrypted, checked bool) {
	const advice = "set sslmode=verify-full, and sslrootcert to the certificate file of the authority that signed the server's certificate, in KEYLODGE_DATABASE_URL"
	switch {
	case isLocalServer(server):
		c.AddOK("database.tls", "the server is on this machine")
	case !encrypted:
		c.AddWarning("database.tls", "the connection is not encrypted: others on the network can read the data and the password", advice)
	case !checked:
		c.AddWarning("database.tls", "the connection is encrypted, but the server's certificate is not checked", advice)
	default:
		c.AddOK("database.tls", "the connection is encrypted, and the server's certificate is checked")
	}
}

func isLocalServer(server net.Addr) bool {
	tcp, ok := server.(*net.TCPAddr)
	return !ok || tcp.IP.IsLoopback()
}

// The limits of the difference between the clocks of the two machines. TOTP codes and tokens expire by this machine's clock, rows by
// the clock of the server that wrote them.
const (
	clockDriftWarning = 2 * time.Second
	clockDriftError   = 30 * time.Second
)

func (c *checks) checkClock(ctx context.Context) {
	var serverTime time.Time
	sentAt := time.Now()
	if err := c.conn.QueryRow(ctx, "SELECT clock_timestamp()").Scan(&serverTime); err != nil {
		c.queryFailed("clock", err)
		return
	}
	roundTrip := time.Since(sentAt)
	localTime := c.now.Add(sentAt.Sub(c.startedAt) + roundTrip/2)
	drift := serverTime.Sub(localTime).Abs()
	const advice = "synchronise the clocks of both machines (NTP)"
	result := fmt.Sprintf("the database server's clock and this machine's clock differ by %s", drift.Round(time.Millisecond))
	switch {
	case drift > clockDriftError:
		c.AddError("clock", result, advice)
	case drift > clockDriftWarning:
		c.AddWarning("clock", result, advice)
	default:
		c.AddOK("clock", "it agrees with the database server's clock: "+localTime.Format(time.RFC3339))
	}
}

func (c *checks) checkEncoding(ctx context.Context) {
	// Check database.encoding: the database can store every character of names and addresses.
	var encoding string
	if err := c.conn.QueryRow(ctx, "SELECT current_setting('server_encoding')").Scan(&encoding); err != nil {
		c.queryFailed("database.encoding", err)
		return
	}
	if encoding != "UTF8" {
		c.AddError("database.encoding", "the encoding of the database is "+encoding+", which cannot store every character",
			"create a database with UTF-8: CREATE DATABASE … TEMPLATE template0 ENCODING 'UTF8'")
		return
	}
	c.AddOK("database.encoding", "it is UTF-8")
}

func (c *checks) checkSchema(ctx context.Context) {
	known, err := sqlstore.Migrations(SchemaFiles)
	if err != nil {
		c.AddError("database.schema", err.Error(), "the program is damaged: reinstall it")
		return
	}
	newest := sqlstore.NewestVersion(known)
	version, err := verifySchema(ctx, c.conn, newest)
	c.schema = version
	switch {
	case err != nil:
		c.AddError("database.schema", oneLine(err), "start the release that created it, or set KEYLODGE_DATABASE_URL to another database")
	case version == 0:
		c.AddOK("database.schema", "it has no tables yet; the first start creates them")
	case version < newest:
		c.AddWarning("database.schema", fmt.Sprintf("it is at version %d, and this program upgrades it to %d", version, newest),
			"make a backup, then start the server, which upgrades it; or upgrade it now: keylodge migrate up")
	case version > newest:
		c.AddWarning("database.schema", fmt.Sprintf("it is at version %d, of a newer release, and this program knows %d; it can run on this schema", version, newest),
			"finish the upgrade, or revert it with the newer release: keylodge migrate down")
	default:
		c.AddOK("database.schema", fmt.Sprintf("it is at version %d, which is current", version))
	}
}

// privilegesQuery returns whether the database is read-only, whether the user may create tables, whether the tables exist, and the
// name of a table on which the user lacks a privilege.
const privilegesQuery = `SELECT current_setting('transaction_read_only') = 'on',
	COALESCE(has_schema_privilege(current_schema(), 'CREATE'), false), to_regclass('schema_migrations') IS NOT NULL,
	COALESCE((SELECT min(tablename::text)
		FROM pg_tables, LATERAL (SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) AS name) AS t
		WHERE schemaname = current_schema() AND tablename NOT IN ('schema_migrations', 'schema_lock', 'schema_floor')
		AND NOT (has_table_privilege(t.name, 'SELECT') AND has_table_privilege(t.name, 'INSERT')
			AND has_table_privilege(t.name, 'UPDATE') AND has_table_privilege(t.name, 'DELETE'))), '')`

func (c *checks) checkPrivileges(ctx context.Context) {
	var readOnly, mayCreate, hasTables bool
	var lacking string
	err := c.conn.QueryRow(ctx, privilegesQuery).Scan(&readOnly, &mayCreate, &hasTables, &lacking)
	role := pgx.Identifier{c.config.ConnConfig.User}.Sanitize()
	switch {
	case err != nil:
		c.queryFailed("database.writable", err)
	case readOnly:
		c.AddError("database.writable", "it is read-only: it is a replica, or default_transaction_read_only is on", "name the primary in KEYLODGE_DATABASE_URL")
	case !hasTables && !mayCreate:
		c.AddError("database.writable", "it has no tables yet, and this user may not create any", "GRANT USAGE, CREATE ON SCHEMA public TO "+role)
	case lacking != "":
		c.AddError("database.writable", "this user may not read and write the table "+lacking,
			"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO "+role)
	default:
		c.AddOK("database.writable", "this user can write to it")
	}
}

// freeConnectionsQuery returns how many connections the server, the database and the role still allow, without the reserved ones, and
// how many other connections Keylodge has.
const freeConnectionsQuery = `SELECT LEAST(
		current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
			- COALESCE(current_setting('reserved_connections', true)::int, 0) - count(*) FILTER (WHERE a.datid IS NOT NULL),
		CASE WHEN d.datconnlimit >= 0 THEN d.datconnlimit - count(*) FILTER (WHERE a.datid = d.oid) END,
		CASE WHEN r.rolconnlimit >= 0 THEN r.rolconnlimit - count(*) FILTER (WHERE a.usesysid = r.oid) END),
	count(*) FILTER (WHERE a.datid = d.oid AND a.application_name = current_setting('application_name') AND a.pid <> pg_backend_pid())
	FROM pg_stat_activity AS a, pg_database AS d, pg_roles AS r
	WHERE d.datname = current_database() AND r.rolname = current_user
	GROUP BY d.oid, d.datconnlimit, r.oid, r.rolconnlimit`

func (c *checks) checkConnections(ctx context.Context) {
	// Check database.connections: the database server allows as many connections as the servers may open. With too few, requests
	// wait or fail.
	var free, own int
	if err := c.conn.QueryRow(ctx, freeConnectionsQuery).Scan(&free, &own); err != nil {
		c.AddWarning("database.connections", oneLine(err), "check that max_connections is at least the sum of pool_max_conns of all servers")
		return
	}
	free++ // this connection will be closed
	maxConns := int(c.config.MaxConns)
	result := fmt.Sprintf("one server uses up to %d, %d are open and %d free", maxConns, own, free)
	if free+own < maxConns {
		c.AddWarning("database.connections", result, "raise max_connections, or the CONNECTION LIMIT of the database or the role, or lower pool_max_conns in KEYLODGE_DATABASE_URL")
		return
	}
	c.AddOK("database.connections", result)
}

const (
	// clockTolerance is how far in the future an event may be, since the servers' clocks differ a little.
	clockTolerance = time.Minute
	// cleanupOverdue is how long after its end a challenge still exists only if no server deletes expired challenges.
	cleanupOverdue = time.Hour
)

// checkTimes looks for events in the future and for expired challenges that no server has deleted.
func (c *checks) checkTimes(ctx context.Context) {
	// Check events: no event is in the future. Otherwise the clock of one of several servers was wrong.
	if c.schema == 0 {
		return
	}
	var latest column.Time
	var overdue int
	err := c.conn.QueryRow(ctx, "SELECT (SELECT max(at) FROM events), (SELECT count(*) FROM webauthn_challenges WHERE expires_at < $1)",
		c.now.Add(-cleanupOverdue)).Scan(&latest, &overdue)
	if err != nil {
		c.queryFailed("jobs", err)
		return
	}
	if ahead := latest.Sub(c.now); !latest.IsZero() && ahead > clockTolerance {
		c.AddWarning("events", fmt.Sprintf("the newest event is %s in the future, so a server's clock was ahead when it wrote it", ahead.Round(time.Second)),
			"synchronise the clocks of all servers (NTP)")
	} else {
		c.AddOK("events", "none is in the future")
	}
	if overdue > 0 {
		c.AddWarning("jobs", fmt.Sprintf("%d expired challenges have not been deleted", overdue), "start a server: it deletes expired data once a minute. If one runs, its log says why it cannot")
	} else {
		c.AddOK("jobs", "expired challenges are deleted")
	}
}

func (c *checks) queryFailed(check string, err error) {
	c.AddError(check, oneLine(err), "run the check again, and read the database server's log")
}

// oneLine returns the error's text without the line breaks that pgx writes between attempts.
func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
