package postgres

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/golang-migrate/migrate/v4"
	"github.com/golang-migrate/migrate/v4/database"
	"github.com/jackc/pgx/v5"

	"github.com/keylodge/keylodge/adapters/sqlstore"
	"github.com/keylodge/keylodge/migrations"
)

// The timeouts of an upgrade: for the lock on a table, and for all attempts together, with the time between two attempts. While an
// upgrade waits for a lock, every later statement on that table waits, too.
const (
	setUpgradeLockTimeout = "SET LOCAL lock_timeout = '500ms';"
	upgradeRetryInterval  = time.Second
	upgradeTimeout        = 10 * time.Minute
)

// SchemaFiles are the migrations of this program. Tests replace them.
var SchemaFiles = migrations.Postgres()

// upgrade applies the given migrations that are missing. A current schema is not changed, which needs no privilege to do so. If a
// newer release has upgraded the schema and this program can run on it, upgrade returns its version, else 0.
//
// Servers may be running. An upgrade that waits for a table that one transaction has locked blocks every later statement on that
// table, and a backup may hold its lock for an hour; a migration of several tables may also deadlock with a transaction. So an
// upgrade has a short lock timeout. When it fails, it rolls everything back and is tried again. It locks all tables first, in the
// order in which requests use them: the order of the migrations' statements would end in a deadlock with most requests.
func upgrade(ctx context.Context, config *pgx.ConnConfig, files fs.FS) (newer int, err error) {
	for deadline := time.Now().Add(upgradeTimeout); ; {
		newer, err = upgradeOnce(ctx, config, files)
		if !slices.Contains([]string{lockNotAvailable, deadlockDetected, serializationFailure}, stateOf(err)) || time.Now().After(deadline) {
			return newer, err
		}
		select {
		case <-ctx.Done():
			return 0, errors.Join(ctx.Err(), err)
		case <-time.After(upgradeRetryInterval):
		}
	}
}

func upgradeOnce(ctx context.Context, config *pgx.ConnConfig, files fs.FS) (newer int, err error) {
	all, err := sqlstore.Migrations(files)
	if err != nil {
		return 0, err
	}
	newest := sqlstore.NewestVersion(all)
	driver, err := connectDriver(ctx, config, newest)
	if err != nil {
		return 0, wrap("connecting", err)
	}
	driver.beforeSteps = driver.lockTables
	version, dirty, err := driver.Version()
	if err == nil && (version != newest || dirty) {
		err = wrap("upgrading the schema; nothing was changed", sqlstore.RunMigrations(files, driver, (*migrate.Migrate).Up))
	} else {
		err = errors.Join(wrap("reading the schema's version", err), driver.Close())
	}
	if newerSchema := (sqlstore.NewerSchemaError{}); errors.As(err, &newerSchema) {
		return newerSchema.Version, nil
	}
	return 0, err
}

// IsEmpty returns whether the database of the URL has no schema of Keylodge. It changes nothing.
func IsEmpty(ctx context.Context, databaseURL string) (bool, error) {
	conn, _, err := NewDatabase(databaseURL).connect(ctx)
	if err != nil {
		return false, err
	}
	version, _, err := versionOf(ctx, conn)
	return version == database.NilVersion, closeConn(ctx, conn, err)
}

// migrationDriver is golang-migrate's driver. Everything between Lock and Unlock is one transaction: an upgrade of several
// migrations is applied completely or not at all, and a crash never leaves it half done ("dirty").
//
// Servers that start at the same time upgrade one after the other, because each locks a row of schema_lock. It is not an advisory
// lock, since CockroachDB has none, old YugabyteDB has none, and a pooler such as PgBouncer would lose it. The row is locked on a
// connection of its own, because a database that commits each schema change ends the transaction, and its locks, at the first one.
type migrationDriver struct {
	ctx         context.Context
	lockConn    *pgx.Conn // holds the lock on the row of schema_lock
	conn        *pgx.Conn // runs the migrations
	newest      int
	failed      bool
	beforeSteps func() error // if set, runs before the first migration; its error prevents them
	afterSteps  func() error // if set, runs after the last migration; its error rolls them back
}

var _ database.Driver = (*migrationDriver)(nil)

func connectDriver(ctx context.Context, config *pgx.ConnConfig, newest int) (*migrationDriver, error) {
	lockConn, err := pgx.ConnectConfig(ctx, withoutNamedStatements(config))
	if err != nil {
		return nil, err
	}
	conn, err := pgx.ConnectConfig(ctx, withoutNamedStatements(config))
	if err != nil {
		return nil, errors.Join(err, lockConn.Close(ctx))
	}
	return &migrationDriver{ctx: ctx, lockConn: lockConn, conn: conn, newest: newest}, nil
}

// Lock waits without a limit until no other server upgrades, then begins the transaction.
func (d *migrationDriver) Lock() error {
	d.failed = false
	if err := d.createTables(); err != nil {
		return err
	}
	const noLimits = "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0;"
	if err := exec(d.ctx, d.lockConn, "BEGIN;"+noLimits+"SET LOCAL lock_timeout = 0; SELECT id FROM schema_lock FOR UPDATE"); err != nil {
		return err
	}
	if err := exec(d.ctx, d.conn, "BEGIN;"+noLimits+setUpgradeLockTimeout); err != nil || d.beforeSteps == nil {
		return err
	}
	if err := d.beforeSteps(); err != nil {
		d.failed = true
		return errors.Join(err, d.Unlock())
	}
	return nil
}

// tablesInUse selects the tables of the schema in the order in which requests lock them: most begin with their challenge or their
// session. It leaves out those of the migrations themselves.
const tablesInUse = `SELECT quote_ident(tablename) FROM pg_tables
	WHERE schemaname = current_schema() AND tablename NOT IN ('schema_lock', 'schema_migrations')
	ORDER BY tablename <> 'webauthn_challenges', tablename <> 'sessions', tablename`

// lockTables waits for the running requests, and prevents others, until the transaction ends. It does nothing on databases other than
// PostgreSQL, whose schema changes need no lock.
func (d *migrationDriver) lockTables() error {
	var version string
	if err := d.conn.QueryRow(d.ctx, "SELECT version()").Scan(&version); err != nil || !isPostgres(version) {
		return err
	}
	rows, err := d.conn.Query(d.ctx, tablesInUse)
	if err != nil {
		return err
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(tables) == 0 {
		return err
	}
	return exec(d.ctx, d.conn, "LOCK TABLE "+strings.Join(tables, ", "))
}

// createTables creates the tables that Lock needs. Concurrent calls may fail in spite of IF NOT EXISTS, so it retries.
func (d *migrationDriver) createTables() error {
	var err error
	for range 20 {
		err = exec(d.ctx, d.lockConn, `CREATE TABLE IF NOT EXISTS schema_migrations (version bigint NOT NULL PRIMARY KEY, dirty boolean NOT NULL);
			CREATE TABLE IF NOT EXISTS schema_lock (id bigint NOT NULL PRIMARY KEY);
			INSERT INTO schema_lock (id) VALUES (1) ON CONFLICT (id) DO NOTHING`)
		if !slices.Contains([]string{serializationFailure, deadlockDetected, uniqueViolation, duplicateTable, duplicateObject, internalError}, stateOf(err)) {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	return err
}

// Unlock commits, or rolls back if any step failed.
func (d *migrationDriver) Unlock() error {
	var err error
	if !d.failed && d.afterSteps != nil {
		err = d.recordFailure(d.afterSteps())
	}
	end := "COMMIT"
	if d.failed {
		end = "ROLLBACK"
	}
	return errors.Join(err, exec(d.ctx, d.conn, end), exec(d.ctx, d.lockConn, "ROLLBACK"))
}

func (d *migrationDriver) Run(migration io.Reader) error {
	statements, err := io.ReadAll(migration)
	if err != nil {
		return d.recordFailure(err)
	}
	return d.recordFailure(exec(d.ctx, d.conn, string(statements)))
}

func (d *migrationDriver) SetVersion(version int, dirty bool) error {
	if err := exec(d.ctx, d.conn, "DELETE FROM schema_migrations"); err != nil {
		return d.recordFailure(err)
	}
	if version == database.NilVersion {
		return nil
	}
	_, err := d.conn.Exec(d.ctx, "INSERT INTO schema_migrations (version, dirty) VALUES ($1, $2)", version, dirty)
	return d.recordFailure(err)
}

func (d *migrationDriver) Version() (version int, dirty bool, err error) {
	version, dirty, err = versionOf(d.ctx, d.conn)
	if err == nil && version > d.newest {
		if err = requireCompatible(d.ctx, d.conn, version, d.newest); err == nil && !dirty {
			err = sqlstore.NewerSchemaError{Version: version}
		} else if err == nil {
			err = sqlstore.ErrNewerRelease(version, d.newest)
		}
	}
	return version, dirty, d.recordFailure(err)
}

func versionOf(ctx context.Context, conn *pgx.Conn) (version int, dirty bool, err error) {
	err = conn.QueryRow(ctx, "SELECT version, dirty FROM schema_migrations").Scan(&version, &dirty)
	if errors.Is(err, pgx.ErrNoRows) || stateOf(err) == undefinedTable {
		return database.NilVersion, false, nil
	}
	return version, dirty, err
}

// requireCompatible returns an error if this program cannot run on the schema of a newer release.
func requireCompatible(ctx context.Context, conn *pgx.Conn, version, newest int) error {
	var floor int
	err := conn.QueryRow(ctx, "SELECT version FROM schema_floor").Scan(&floor)
	if errors.Is(err, pgx.ErrNoRows) || stateOf(err) == undefinedTable {
		floor, err = version, nil
	}
	if err == nil && floor > newest {
		err = sqlstore.ErrNewerRelease(version, newest)
	}
	return err
}

func (d *migrationDriver) Close() error {
	return errors.Join(d.conn.Close(d.ctx), d.lockConn.Close(d.ctx))
}

func (d *migrationDriver) Open(string) (database.Driver, error) {
	return nil, errors.New("this driver uses open connections, not a URL")
}

func (d *migrationDriver) Drop() error { return errors.New("dropping everything is not supported") }

// recordFailure records that a step failed, so that Unlock rolls everything back.
func (d *migrationDriver) recordFailure(err error) error {
	d.failed = d.failed || err != nil
	return err
}

// exec runs statements without parameters and results.
func exec(ctx context.Context, conn *pgx.Conn, statements string) error {
	_, err := conn.Exec(ctx, statements, pgx.QueryExecModeSimpleProtocol)
	return err
}
