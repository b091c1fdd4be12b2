package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"time"

	"github.com/golang-migrate/migrate/v4"
	"github.com/golang-migrate/migrate/v4/database"
	"github.com/golang-migrate/migrate/v4/source/iofs"
	"github.com/jackc/pgx/v5"

	"github.com/keylodge/keylodge/migrations"
)

// How long an upgrade waits: for somebody else's; for a table that others use, with all who come for it after it; and how
// often, and how long in all, it lets those go first and tries again.
const (
	lockTimeout           = time.Hour
	setUpgradeLockTimeout = "SET LOCAL lock_timeout = '500ms';"
	upgradeRetryInterval  = time.Second
	upgradeTimeout        = 10 * time.Minute
)

// schemaFiles are the migrations of this program. Tests replace them.
var schemaFiles = migrations.Postgres()

// upgrade brings the schema to the newest of the given migrations. One that is there already is not touched, which takes
// no right to change it, nor is one of a newer release: that one's version is returned if it may be served on, and 0 otherwise.
//
// Others may be at work meanwhile. Whoever waits for a table that one transaction has holds up everybody who comes for it
// later, and a backup may have it for an hour; and whoever wants several may want them in another order than a transaction
// that is under way. So an upgrade gives up soon, with all that it has done, and comes again.
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
	newest, err := newestOf(files)
	if err != nil {
		return 0, err
	}
	driver, err := connectDriver(ctx, config, newest)
	if err != nil {
		return 0, wrap("connecting", err)
	}
	version, dirty, err := driver.Version()
	if err == nil && (version != newest || dirty) {
		err = wrap("upgrading the schema; nothing was changed", withMigrations(driver, files, (*migrate.Migrate).Up))
	} else {
		err = errors.Join(wrap("looking for the schema", err), driver.Close())
	}
	if ahead := (newerSchemaError{}); errors.As(err, &ahead) {
		return ahead.version, nil
	}
	return 0, err
}

// withMigrations steps through the given migrations on the driver's connections, and closes those. No change is no error:
// somebody else was first.
func withMigrations(driver *migrationDriver, files fs.FS, step func(*migrate.Migrate) error) error {
	steps, err := iofs.New(files, ".")
	if err != nil {
		return errors.Join(fmt.Errorf("reading the migrations: %w", err), driver.Close())
	}
	m, err := migrate.NewWithInstance("iofs", steps, "postgres", driver)
	if err != nil {
		return errors.Join(err, driver.Close())
	}
	m.LockTimeout = lockTimeout
	if err = step(m); errors.Is(err, migrate.ErrNoChange) {
		err = nil
	}
	_, closeErr := m.Close()
	return errors.Join(err, closeErr)
}

// IsEmpty says whether the database that the URL names is still without a schema of ours. It changes nothing.
func IsEmpty(ctx context.Context, databaseURL string) (bool, error) {
	config, err := parse(databaseURL)
	if err != nil {
		return false, err
	}
	conn, err := pgx.ConnectConfig(ctx, withoutNamedStatements(config.ConnConfig))
	if err != nil {
		return false, wrapOpen(config.ConnConfig, wrap("connecting", err))
	}
	version, _, err := versionOf(ctx, conn)
	return version == database.NilVersion, errors.Join(err, conn.Close(ctx))
}

func newestOf(files fs.FS) (int, error) {
	migrations, err := iofs.New(files, ".")
	if err != nil {
		return 0, fmt.Errorf("reading the migrations: %w", err)
	}
	version, err := migrations.First()
	for next := version; err == nil; next, err = migrations.Next(version) {
		version = next
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("reading the migrations: %w", err)
	}
	return int(version), nil
}

// migrationDriver is golang-migrate's door to the database. All that happens between Lock and Unlock is one transaction: an
// upgrade of many steps happens whole or not at all, and no crash leaves it half done ("dirty").
//
// Servers that start at once go one after the other: each holds a row of schema_lock meanwhile. A row, and not an advisory
// lock, since CockroachDB has none, YugabyteDB has had them for a short time, and a pooler such as PgBouncer would lose
// them. And on a connection of its own, since a database that does not roll back changes of a schema ends the transaction,
// and with it the lock, at the first of them.
type migrationDriver struct {
	ctx         context.Context
	lockConn    *pgx.Conn
	conn        *pgx.Conn
	newest      int
	failed      bool
	beforeSteps func() error // if set, runs before everything; its error leaves all as it is
	afterSteps  func() error // if set, runs last of all; its error takes everything back
}

var _ database.Driver = (*migrationDriver)(nil)

func connectDriver(ctx context.Context, config *pgx.ConnConfig, newest int) (*migrationDriver, error) {
	gate, err := pgx.ConnectConfig(ctx, withoutNamedStatements(config))
	if err != nil {
		return nil, err
	}
	conn, err := pgx.ConnectConfig(ctx, withoutNamedStatements(config))
	if err != nil {
		return nil, errors.Join(err, gate.Close(ctx))
	}
	return &migrationDriver{ctx: ctx, lockConn: gate, conn: conn, newest: newest}, nil
}

// Lock waits for whoever else upgrades, for as long as that takes, then keeps them out.
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

// createTables makes what Lock needs. Those who do so at once may get in each other's way, whatever IF NOT EXISTS promises.
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
			err = newerSchemaError{version}
		} else if err == nil {
			err = errNewerRelease(version, d.newest)
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

// newerSchemaError is a schema that a newer release has made, and that this one may serve on but has nothing to do to.
type newerSchemaError struct{ version int }

func (e newerSchemaError) Error() string {
	return fmt.Sprintf("a newer release has brought the schema to version %d", e.version)
}

// requireCompatible returns nil if the schema, of a version that is newer than this program, may be served on by it all the same.
func requireCompatible(ctx context.Context, conn *pgx.Conn, version, newest int) error {
	var floor int
	err := conn.QueryRow(ctx, "SELECT version FROM schema_floor").Scan(&floor)
	if errors.Is(err, pgx.ErrNoRows) || stateOf(err) == undefinedTable {
		floor, err = version, nil
	}
	if err == nil && floor > newest {
		err = errNewerRelease(version, newest)
	}
	return err
}

func (d *migrationDriver) Close() error {
	return errors.Join(d.conn.Close(d.ctx), d.lockConn.Close(d.ctx))
}

func (d *migrationDriver) Open(string) (database.Driver, error) {
	return nil, errors.New("this driver is made from open connections, not from a URL")
}

func (d *migrationDriver) Drop() error { return errors.New("dropping everything is not supported") }

// recordFailure notes that a step failed, so that Unlock takes everything back.
func (d *migrationDriver) recordFailure(err error) error {
	d.failed = d.failed || err != nil
	return err
}

// exec runs statements that take and return nothing.
func exec(ctx context.Context, conn *pgx.Conn, statements string) error {
	_, err := conn.Exec(ctx, statements, pgx.QueryExecModeSimpleProtocol)
	return err
}
