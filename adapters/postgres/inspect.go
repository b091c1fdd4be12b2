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

	"github.com/keylodge/keylodge/db/column"
	"github.com/keylodge/keylodge/ports/dbadmin"
)

// Inspect implements dbadmin.Inspector.
func (d *Database) Inspect(ctx context.Context, now time.Time, _ dbadmin.CheckOptions) dbadmin.CheckResults {
	i := checks{now: now, startedAt: time.Now()}
	conn, config, err := d.connect(ctx)
	var invalid *URLError
	if errors.As(err, &invalid) {
		i.AddError("database.server", invalid.Problem, invalid.Fix)
		return i.CheckResults
	}
	if err != nil {
		advice := adviceOn(config.ConnConfig, err)
		if advice == "" {
			advice = "the server's log may say more"
		}
		i.AddError("database.server", oneLine(err), advice)
		return i.CheckResults
	}
	i.conn, i.config = conn, config
	i.runAll(ctx)
	_ = closeConn(ctx, conn, nil) // nothing was written
	return i.CheckResults
}

// checks gathers findings about one database.
type checks struct {
	dbadmin.CheckResults
	conn      *pgx.Conn
	config    *pgxpool.Config
	now       time.Time // as the caller's clock had it
	startedAt time.Time // by the clock of this process, at that moment
	schema    int       // version; 0 for none
}

func (i *checks) runAll(ctx context.Context) {
	for _, look := range []func(context.Context){
		i.checkServer, i.checkPooler, i.checkTransport, i.checkClock, i.checkEncoding, i.checkSchema, i.checkPrivileges, i.checkConnections,
		i.checkTimes,
	} {
		if i.HasErrors() || ctx.Err() != nil {
			return
		}
		look(ctx)
	}
}

const minServerVersion = 15 // major version; what older ones do is not tested

func (i *checks) checkServer(ctx context.Context) {
	var version string
	var number int
	if err := i.conn.QueryRow(ctx, "SELECT version(), current_setting('server_version_num')::int").Scan(&version, &number); err != nil {
		i.queryFailed("database.server", err)
		return
	}
	version, _, _ = strings.Cut(version, " (")
	found := name(i.config.ConnConfig) + " answers; it is " + version
	switch {
	case !isPostgres(version):
		i.AddWarning("database.server", found, "nobody has run Keylodge on it yet: read docs/storage.md, and try upgrades on a copy")
	case number/10000 < minServerVersion:
		i.AddWarning("database.server", found, fmt.Sprintf("upgrade the server to PostgreSQL %d or newer", minServerVersion))
	default:
		i.AddOK("database.server", found)
	}
}

func (i *checks) checkPooler(ctx context.Context) {
	pooled, err := isPooled(ctx, i.conn)
	switch {
	case err != nil:
		i.queryFailed("database.pooler", err)
	case pooled:
		i.AddOK("database.pooler", "a pooler such as PgBouncer is in front of it, so statements are not prepared under a name")
	default:
		i.AddOK("database.pooler", "no pooler is in front of it")
	}
}

func (i *checks) checkTransport(context.Context) {
	wire := i.conn.PgConn().Conn()
	_, encrypted := wire.(*tls.Conn)
	i.reportTransport(wire.RemoteAddr(), encrypted, verifiesCertificate(i.config.ConnConfig.TLSConfig))
}

// reportTransport is told whether the server's certificate was checked, which without encryption means nothing.
func (i *checks) reportTransport(server net.Addr, encrypted, checked bool) {
	const advice = "set sslmode=verify-full, and sslrootcert to the file of whoever signed the server's certificate, in KEYLODGE_DATABASE_URL"
	switch {
	case isLocalServer(server):
		i.AddOK("database.tls", "the server is on this machine")
	case !encrypted:
		i.AddWarning("database.tls", "what goes to the server and back can be read on the way, the password too", advice)
	case !checked:
		i.AddWarning("database.tls", "the connection is encrypted, and whose certificate the server has is not checked", advice)
	default:
		i.AddOK("database.tls", "the connection is encrypted, and the server's certificate is checked")
	}
}

func isLocalServer(server net.Addr) bool {
	tcp, ok := server.(*net.TCPAddr)
	return !ok || tcp.IP.IsLoopback()
}

// How far the two clocks may be apart. Codes from authenticator apps and tokens live by ours, and rows by whichever
// server's wrote them.
const (
	clockDriftWarning = 2 * time.Second
	clockDriftError   = 30 * time.Second
)

func (i *checks) checkClock(ctx context.Context) {
	var there time.Time
	asked := time.Now()
	if err := i.conn.QueryRow(ctx, "SELECT clock_timestamp()").Scan(&there); err != nil {
		i.queryFailed("clock", err)
		return
	}
	answered := time.Now()
	here := i.now.Add(asked.Sub(i.startedAt) + answered.Sub(asked)/2)
	apart := there.Sub(here)
	const advice = "set the clocks of both machines, and keep them set (NTP)"
	found := fmt.Sprintf("the server's clock and this machine's are %s apart", apart.Abs().Round(time.Millisecond))
	switch {
	case apart.Abs() > clockDriftError:
		i.AddError("clock", found, advice)
	case apart.Abs() > clockDriftWarning:
		i.AddWarning("clock", found, advice)
	default:
		i.AddOK("clock", "it agrees with the server's: "+here.Format(time.RFC3339))
	}
}

func (i *checks) checkEncoding(ctx context.Context) {
	var encoding string
	if err := i.conn.QueryRow(ctx, "SELECT current_setting('server_encoding')").Scan(&encoding); err != nil {
		i.queryFailed("database.encoding", err)
		return
	}
	if encoding != "UTF8" {
		i.AddError("database.encoding", "the database is in "+encoding+", which does not hold everybody's name",
			"make one that is: CREATE DATABASE … TEMPLATE template0 ENCODING 'UTF8'")
		return
	}
	i.AddOK("database.encoding", "it is UTF-8")
}

func (i *checks) checkSchema(ctx context.Context) {
	known, err := allMigrations()
	if err != nil {
		i.AddError("database.schema", err.Error(), "this program is damaged: install it again")
		return
	}
	newest := newestVersion(known)
	version, err := verifySchema(ctx, i.conn, newest)
	i.schema = version
	switch {
	case err != nil:
		i.AddError("database.schema", oneLine(err), "start the release that made it, or name another database in KEYLODGE_DATABASE_URL")
	case version == 0:
		i.AddOK("database.schema", "it has no tables of Keylodge's yet; the first start makes them")
	case version < newest:
		i.AddWarning("database.schema", fmt.Sprintf("it is at version %d, and this program brings %d", version, newest),
			"make a backup, then start the server, which upgrades it; or upgrade it now: keylodge migrate up")
	case version > newest:
		i.AddWarning("database.schema", fmt.Sprintf("it is at version %d, of a newer release, and this program knows %d; it may serve on it meanwhile", version, newest),
			"go on with the upgrade, or back with that release's: keylodge migrate down")
	default:
		i.AddOK("database.schema", fmt.Sprintf("it is at version %d, as this program wants it", version))
	}
}

// privilegesQuery are whether nothing can be written, whether tables can be made, and one table that not all that is needed may be
// done to.
const privilegesQuery = `SELECT current_setting('transaction_read_only') = 'on',
	COALESCE(has_schema_privilege(current_schema(), 'CREATE'), false), to_regclass('schema_migrations') IS NOT NULL,
	COALESCE((SELECT min(tablename::text)
		FROM pg_tables, LATERAL (SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) AS name) AS t
		WHERE schemaname = current_schema() AND tablename NOT IN ('schema_migrations', 'schema_lock', 'schema_floor')
		AND NOT (has_table_privilege(t.name, 'SELECT') AND has_table_privilege(t.name, 'INSERT')
			AND has_table_privilege(t.name, 'UPDATE') AND has_table_privilege(t.name, 'DELETE'))), '')`

func (i *checks) checkPrivileges(ctx context.Context) {
	var readOnly, mayCreate, made bool
	var forbidden string
	err := i.conn.QueryRow(ctx, privilegesQuery).Scan(&readOnly, &mayCreate, &made, &forbidden)
	role := pgx.Identifier{i.config.ConnConfig.User}.Sanitize()
	switch {
	case err != nil:
		i.queryFailed("database.writable", err)
	case readOnly:
		i.AddError("database.writable", "nothing can be written to it: this is a replica, or it was set to read only", "name the primary in KEYLODGE_DATABASE_URL")
	case !made && !mayCreate:
		i.AddError("database.writable", "it has no tables yet, and this user may not make any", "GRANT USAGE, CREATE ON SCHEMA public TO "+role)
	case forbidden != "":
		i.AddError("database.writable", "this user may not read and write the table "+forbidden,
			"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO "+role)
	default:
		i.AddOK("database.writable", "it can be written to")
	}
}

// freeConnectionsQuery is how many more connections the server, the database and the role let in, without those kept for others, and how
// many Keylodge has already, without this one.
const freeConnectionsQuery = `SELECT LEAST(
		current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
			- COALESCE(current_setting('reserved_connections', true)::int, 0) - count(*) FILTER (WHERE a.datid IS NOT NULL),
		CASE WHEN d.datconnlimit >= 0 THEN d.datconnlimit - count(*) FILTER (WHERE a.datid = d.oid) END,
		CASE WHEN r.rolconnlimit >= 0 THEN r.rolconnlimit - count(*) FILTER (WHERE a.usesysid = r.oid) END),
	count(*) FILTER (WHERE a.datid = d.oid AND a.application_name = current_setting('application_name') AND a.pid <> pg_backend_pid())
	FROM pg_stat_activity AS a, pg_database AS d, pg_roles AS r
	WHERE d.datname = current_database() AND r.rolname = current_user
	GROUP BY d.oid, d.datconnlimit, r.oid, r.rolconnlimit`

func (i *checks) checkConnections(ctx context.Context) {
	var free, own int
	if err := i.conn.QueryRow(ctx, freeConnectionsQuery).Scan(&free, &own); err != nil {
		i.AddWarning("database.connections", oneLine(err), "see to it that max_connections suffices for all servers together")
		return
	}
	free++ // this one ends
	wanted := int(i.config.MaxConns)
	found := fmt.Sprintf("one server wants up to %d, %d are open and %d free", wanted, own, free)
	if free+own < wanted {
		i.AddWarning("database.connections", found, "raise max_connections, or the CONNECTION LIMIT of the database or the role, or lower pool_max_conns in KEYLODGE_DATABASE_URL")
		return
	}
	i.AddOK("database.connections", found)
}

const (
	// clockTolerance is how far an event may be ahead: the servers' clocks differ a little.
	clockTolerance = time.Minute
	// cleanupOverdue is how long after its end a ceremony is still there only if nobody sweeps.
	cleanupOverdue = time.Hour
)

// checkTimes looks for what other servers have written, or left undone.
func (i *checks) checkTimes(ctx context.Context) {
	if i.schema == 0 {
		return
	}
	var latest column.Time
	var left int
	err := i.conn.QueryRow(ctx, "SELECT (SELECT max(at) FROM events), (SELECT count(*) FROM webauthn_challenges WHERE expires_at < $1)",
		i.now.Add(-cleanupOverdue)).Scan(&latest, &left)
	if err != nil {
		i.queryFailed("jobs", err)
		return
	}
	if ahead := latest.Sub(i.now); !latest.IsZero() && ahead > clockTolerance {
		i.AddWarning("events", fmt.Sprintf("the newest event is %s in the future, so a server's clock was ahead when it wrote it", ahead.Round(time.Second)),
			"set the clocks of all servers, and keep them set (NTP)")
	} else {
		i.AddOK("events", "none is in the future")
	}
	if left > 0 {
		i.AddWarning("jobs", fmt.Sprintf("%d ceremonies that are long over have not been swept away", left), "start a server: one of them sweeps once a minute. If one runs, its log says why it cannot")
	} else {
		i.AddOK("jobs", "expired ceremonies are deleted")
	}
}

func (i *checks) queryFailed(check string, err error) {
	i.AddError(check, oneLine(err), "run this again; the server's log may say more")
}

// oneLine is an error without the line breaks that pgx puts between what it tried.
func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
