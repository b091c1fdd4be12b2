package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/golang-migrate/migrate/v4"
	"github.com/golang-migrate/migrate/v4/database"

	"github.com/keylodge/keylodge/adapters/sqlstore"
	"github.com/keylodge/keylodge/migrations"
)

// SchemaFiles are the migrations of this program. Tests replace them.
var SchemaFiles = migrations.SQLite()

// upgrade applies the given migrations that are missing. If a newer release has upgraded the schema and this program can run on it,
// upgrade returns its version, else 0.
func upgrade(db *sql.DB, files fs.FS) (newer int, err error) {
	conn, err := db.Conn(context.Background())
	if err != nil {
		return 0, err
	}
	err = withMigrations(&migrationDriver{conn: conn}, files, (*migrate.Migrate).Up)
	if newerSchema := (sqlstore.NewerSchemaError{}); errors.As(err, &newerSchema) {
		return newerSchema.Version, nil
	}
	if err != nil {
		return 0, wrap("upgrading the schema; nothing was changed", err)
	}
	return 0, nil
}

// withMigrations runs step on the given migrations with the driver's connection, and closes it.
func withMigrations(driver *migrationDriver, files fs.FS, step func(*migrate.Migrate) error) error {
	all, err := sqlstore.Migrations(files)
	if err != nil {
		return errors.Join(err, driver.Close())
	}
	driver.newest = sqlstore.NewestVersion(all)
	return sqlstore.RunMigrations(files, driver, step)
}

// migrationDriver is golang-migrate's driver. Everything between Lock and Unlock is one transaction: an upgrade of several migrations
// is applied completely or not at all, a crash never leaves it half done ("dirty"), and processes that start at the same time upgrade
// one after the other.
type migrationDriver struct {
	conn       *sql.Conn
	newest     int
	failed     bool
	afterSteps func() error // if set, runs after the last migration; its error rolls everything back
}

var _ database.Driver = (*migrationDriver)(nil)

// Lock begins the transaction, after any other writer. Foreign keys are checked after each migration instead of during it, because
// rebuilding a table (https://sqlite.org/lang_altertable.html, section 7) would delete the rows that refer to it.
func (d *migrationDriver) Lock() error {
	d.failed = false
	return d.exec(`PRAGMA foreign_keys = OFF; BEGIN IMMEDIATE;
		CREATE TABLE IF NOT EXISTS schema_migrations (version INTEGER NOT NULL PRIMARY KEY, dirty INTEGER NOT NULL) STRICT`)
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
	return errors.Join(err, d.exec(end), d.exec("PRAGMA foreign_keys = ON"))
}

func (d *migrationDriver) Run(migration io.Reader) error {
	statements, err := io.ReadAll(migration)
	if err != nil {
		return d.recordFailure(err)
	}
	if err := d.exec(string(statements)); err != nil {
		return d.recordFailure(err)
	}
	return d.recordFailure(d.checkForeignKeys())
}

func (d *migrationDriver) checkForeignKeys() error {
	var table, parent string
	var rowid, constraint any
	err := d.conn.QueryRowContext(context.Background(), "PRAGMA foreign_key_check").Scan(&table, &rowid, &parent, &constraint)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	return fmt.Errorf("a row of %s refers to a missing row of %s", table, parent)
}

func (d *migrationDriver) SetVersion(version int, dirty bool) error {
	if err := d.exec("DELETE FROM schema_migrations"); err != nil {
		return d.recordFailure(err)
	}
	if version == database.NilVersion {
		return nil
	}
	_, err := d.conn.ExecContext(context.Background(), "INSERT INTO schema_migrations (version, dirty) VALUES (?, ?)", version, dirty)
	return d.recordFailure(err)
}

func (d *migrationDriver) Version() (version int, dirty bool, err error) {
	err = d.conn.QueryRowContext(context.Background(), "SELECT version, dirty FROM schema_migrations").Scan(&version, &dirty)
	if errors.Is(err, sql.ErrNoRows) {
		return database.NilVersion, false, nil
	}
	if err == nil && version > d.newest {
		if err = requireCompatible(context.Background(), d.conn, version, d.newest); err == nil && !dirty {
			err = sqlstore.NewerSchemaError{Version: version}
		} else if err == nil {
			err = sqlstore.ErrNewerRelease(version, d.newest)
		}
	}
	return version, dirty, d.recordFailure(err)
}

// requireCompatible returns an error if this program cannot run on the schema of a newer release.
func requireCompatible(ctx context.Context, db querier, version, newest int) error {
	floors, err := queryStrings(ctx, db, "SELECT name FROM sqlite_schema WHERE type = 'table' AND name = 'schema_floor'")
	if err == nil && len(floors) > 0 {
		floors, err = queryStrings(ctx, db, fmt.Sprintf("SELECT version FROM schema_floor WHERE version <= %d", newest))
	}
	if err == nil && len(floors) == 0 {
		err = sqlstore.ErrNewerRelease(version, newest)
	}
	return err
}

func (d *migrationDriver) Close() error { return d.conn.Close() }

func (d *migrationDriver) Open(string) (database.Driver, error) {
	return nil, errors.New("this driver uses an open database, not a URL")
}

func (d *migrationDriver) Drop() error { return errors.New("dropping everything is not supported") }

func (d *migrationDriver) exec(statements string) error {
	_, err := d.conn.ExecContext(context.Background(), statements)
	return err
}

// recordFailure records that a step failed, so that Unlock rolls everything back.
func (d *migrationDriver) recordFailure(err error) error {
	d.failed = d.failed || err != nil
	return err
}
