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

	"github.com/keylodge/keylodge/ports"
)

// Inspect implements ports.Inspection.
func (d *Database) Inspect(ctx context.Context, now time.Time, _ ports.Check) ports.Findings {
	i := inspection{now: now, began: time.Now()}
	conn, config, err := d.connect(ctx)
	var invalid *URLError
	if errors.As(err, &invalid) {
		i.Fault("database.server", invalid.Problem, invalid.Fix)
		return i.Findings
	}
	if err != nil {
		advice := adviceOn(config.ConnConfig, err)
		if advice == "" {
			advice = "the server's log may say more"
		}
		i.Fault("database.server", oneLine(err), advice)
		return i.Findings
	}
	i.conn, i.config = conn, config
	i.look(ctx)
	_ = closing(ctx, conn, nil) // nothing was written
	return i.Findings
}

// inspection gathers findings about one database.
type inspection struct {
	ports.Findings
	conn   *pgx.Conn
	config *pgxpool.Config
	now    time.Time // as the caller's clock had it
	began  time.Time // by the clock of this process, at that moment
	schema int       // version; 0 for none
}

func (i *inspection) look(ctx context.Context) {
	for _, look := range []func(context.Context){
		i.lookAtServer, i.lookAtPooler, i.lookAtTransport, i.lookAtClock, i.lookAtEncoding, i.lookAtSchema, i.lookAtRights, i.lookAtConnections,
		i.lookAtTimes,
	} {
		if i.Faulty() || ctx.Err() != nil {
			return
		}
		look(ctx)
	}
}

const oldestServer = 15 // major version; what older ones do is not tested

func (i *inspection) lookAtServer(ctx context.Context) {
	var version string
	var number int
	if err := i.conn.QueryRow(ctx, "SELECT version(), current_setting('server_version_num')::int").Scan(&version, &number); err != nil {
		i.fault("database.server", err)
		return
	}
	version, _, _ = strings.Cut(version, " (")
	found := name(i.config.ConnConfig) + " answers; it is " + version
	switch {
	case !isPostgres(version):
		i.Warn("database.server", found, "nobody has run Keylodge on it yet: read docs/storage.md, and try upgrades on a copy")
	case number/10000 < oldestServer:
		i.Warn("database.server", found, fmt.Sprintf("upgrade the server to PostgreSQL %d or newer", oldestServer))
	default:
		i.OK("database.server", found)
	}
}

func (i *inspection) lookAtPooler(ctx context.Context) {
	pooled, err := isPooled(ctx, i.conn)
	switch {
	case err != nil:
		i.fault("database.pooler", err)
	case pooled:
		i.OK("database.pooler", "a pooler such as PgBouncer is in front of it, so statements are not prepared under a name")
	default:
		i.OK("database.pooler", "no pooler is in front of it")
	}
}

func (i *inspection) lookAtTransport(context.Context) {
	wire := i.conn.PgConn().Conn()
	_, encrypted := wire.(*tls.Conn)
	i.judgeTransport(wire.RemoteAddr(), encrypted, verifies(i.config.ConnConfig.TLSConfig))
}

// judgeTransport is told whether the server's certificate was checked, which without encryption means nothing.
func (i *inspection) judgeTransport(server net.Addr, encrypted, checked bool) {
	const advice = "set sslmode=verify-full, and sslrootcert to the file of whoever signed the server's certificate, in KEYLODGE_DATABASE_URL"
	switch {
	case isHere(server):
		i.OK("database.tls", "the server is on this machine")
	case !encrypted:
		i.Warn("database.tls", "what goes to the server and back can be read on the way, the password too", advice)
	case !checked:
		i.Warn("database.tls", "the connection is encrypted, and whose certificate the server has is not checked", advice)
	default:
		i.OK("database.tls", "the connection is encrypted, and the server's certificate is checked")
	}
}

func isHere(server net.Addr) bool {
	tcp, ok := server.(*net.TCPAddr)
	return !ok || tcp.IP.IsLoopback()
}

// How far the two clocks may be apart. Codes from authenticator apps and tokens live by ours, and rows by whichever
// server's wrote them.
const (
	clockDrift  = 2 * time.Second
	clockBroken = 30 * time.Second
)

func (i *inspection) lookAtClock(ctx context.Context) {
	var there time.Time
	asked := time.Now()
	if err := i.conn.QueryRow(ctx, "SELECT clock_timestamp()").Scan(&there); err != nil {
		i.fault("clock", err)
		return
	}
	answered := time.Now()
	here := i.now.Add(asked.Sub(i.began) + answered.Sub(asked)/2)
	apart := there.Sub(here)
	const advice = "set the clocks of both machines, and keep them set (NTP)"
	found := fmt.Sprintf("the server's clock and this machine's are %s apart", apart.Abs().Round(time.Millisecond))
	switch {
	case apart.Abs() > clockBroken:
		i.Fault("clock", found, advice)
	case apart.Abs() > clockDrift:
		i.Warn("clock", found, advice)
	default:
		i.OK("clock", "it agrees with the server's: "+here.Format(time.RFC3339))
	}
}

func (i *inspection) lookAtEncoding(ctx context.Context) {
	var encoding string
	if err := i.conn.QueryRow(ctx, "SELECT current_setting('server_encoding')").Scan(&encoding); err != nil {
		i.fault("database.encoding", err)
		return
	}
	if encoding != "UTF8" {
		i.Fault("database.encoding", "the database is in "+encoding+", which does not hold everybody's name",
			"make one that is: CREATE DATABASE … TEMPLATE template0 ENCODING 'UTF8'")
		return
	}
	i.OK("database.encoding", "it is UTF-8")
}

func (i *inspection) lookAtSchema(ctx context.Context) {
	known, err := allMigrations()
	if err != nil {
		i.Fault("database.schema", err.Error(), "this program is damaged: install it again")
		return
	}
	newest := newestVersion(known)
	version, err := recognise(ctx, i.conn, newest)
	i.schema = version
	switch {
	case err != nil:
		i.Fault("database.schema", oneLine(err), "start the release that made it, or name another database in KEYLODGE_DATABASE_URL")
	case version == 0:
		i.OK("database.schema", "it has no tables of Keylodge's yet; the first start makes them")
	case version < newest:
		i.Warn("database.schema", fmt.Sprintf("it is at version %d, and this program brings %d", version, newest),
			"make a backup, then start the server, which upgrades it; or upgrade it now: keylodge migrate up")
	case version > newest:
		i.Warn("database.schema", fmt.Sprintf("it is at version %d, of a newer release, and this program knows %d; it may serve on it meanwhile", version, newest),
			"go on with the upgrade, or back with that release's: keylodge migrate down")
	default:
		i.OK("database.schema", fmt.Sprintf("it is at version %d, as this program wants it", version))
	}
}

// rights are whether nothing can be written, whether tables can be made, and one table that not all that is needed may be
// done to.
const rights = `SELECT current_setting('transaction_read_only') = 'on',
	COALESCE(has_schema_privilege(current_schema(), 'CREATE'), false), to_regclass('schema_migrations') IS NOT NULL,
	COALESCE((SELECT min(tablename::text)
		FROM pg_tables, LATERAL (SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) AS name) AS t
		WHERE schemaname = current_schema() AND tablename NOT IN ('schema_migrations', 'schema_lock', 'schema_floor')
		AND NOT (has_table_privilege(t.name, 'SELECT') AND has_table_privilege(t.name, 'INSERT')
			AND has_table_privilege(t.name, 'UPDATE') AND has_table_privilege(t.name, 'DELETE'))), '')`

func (i *inspection) lookAtRights(ctx context.Context) {
	var readOnly, mayCreate, made bool
	var forbidden string
	err := i.conn.QueryRow(ctx, rights).Scan(&readOnly, &mayCreate, &made, &forbidden)
	role := pgx.Identifier{i.config.ConnConfig.User}.Sanitize()
	switch {
	case err != nil:
		i.fault("database.writable", err)
	case readOnly:
		i.Fault("database.writable", "nothing can be written to it: this is a replica, or it was set to read only", "name the primary in KEYLODGE_DATABASE_URL")
	case !made && !mayCreate:
		i.Fault("database.writable", "it has no tables yet, and this user may not make any", "GRANT USAGE, CREATE ON SCHEMA public TO "+role)
	case forbidden != "":
		i.Fault("database.writable", "this user may not read and write the table "+forbidden,
			"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO "+role)
	default:
		i.OK("database.writable", "it can be written to")
	}
}

// room is how many more connections the server, the database and the role let in, without those kept for others, and how
// many Keylodge has already, without this one.
const room = `SELECT LEAST(
		current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
			- COALESCE(current_setting('reserved_connections', true)::int, 0) - count(*) FILTER (WHERE a.datid IS NOT NULL),
		CASE WHEN d.datconnlimit >= 0 THEN d.datconnlimit - count(*) FILTER (WHERE a.datid = d.oid) END,
		CASE WHEN r.rolconnlimit >= 0 THEN r.rolconnlimit - count(*) FILTER (WHERE a.usesysid = r.oid) END),
	count(*) FILTER (WHERE a.datid = d.oid AND a.application_name = current_setting('application_name') AND a.pid <> pg_backend_pid())
	FROM pg_stat_activity AS a, pg_database AS d, pg_roles AS r
	WHERE d.datname = current_database() AND r.rolname = current_user
	GROUP BY d.oid, d.datconnlimit, r.oid, r.rolconnlimit`

func (i *inspection) lookAtConnections(ctx context.Context) {
	var free, own int
	if err := i.conn.QueryRow(ctx, room).Scan(&free, &own); err != nil {
		i.Warn("database.connections", oneLine(err), "see to it that max_connections suffices for all servers together")
		return
	}
	free++ // this one ends
	wanted := int(i.config.MaxConns)
	found := fmt.Sprintf("one server wants up to %d, %d are open and %d free", wanted, own, free)
	if free+own < wanted {
		i.Warn("database.connections", found, "raise max_connections, or the CONNECTION LIMIT of the database or the role, or lower pool_max_conns in KEYLODGE_DATABASE_URL")
		return
	}
	i.OK("database.connections", found)
}

const (
	// tolerance is how far an event may be ahead: the servers' clocks differ a little.
	tolerance = time.Minute
	// overdue is how long after its end a ceremony is still there only if nobody sweeps.
	overdue = time.Hour
)

// lookAtTimes looks for what other servers have written, or left undone.
func (i *inspection) lookAtTimes(ctx context.Context) {
	if i.schema < 2 { // which brought events
		return
	}
	var latest *time.Time
	var left int
	err := i.conn.QueryRow(ctx, "SELECT (SELECT max(at) FROM events), (SELECT count(*) FROM webauthn_challenges WHERE expires_at < $1)",
		i.now.Add(-overdue)).Scan(&latest, &left)
	if err != nil {
		i.fault("jobs", err)
		return
	}
	if ahead := optionalTime(latest).Sub(i.now); latest != nil && ahead > tolerance {
		i.Warn("events", fmt.Sprintf("the newest event is %s in the future, so a server's clock was ahead when it wrote it", ahead.Round(time.Second)),
			"set the clocks of all servers, and keep them set (NTP)")
	} else {
		i.OK("events", "none is in the future")
	}
	if left > 0 {
		i.Warn("jobs", fmt.Sprintf("%d ceremonies that are long over have not been swept away", left), "start a server: one of them sweeps once a minute. If one runs, its log says why it cannot")
	} else {
		i.OK("jobs", "expired ceremonies are deleted")
	}
}

func (i *inspection) fault(check string, err error) {
	i.Fault(check, oneLine(err), "run this again; the server's log may say more")
}

// oneLine is an error without the line breaks that pgx puts between what it tried.
func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
