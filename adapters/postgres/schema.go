package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/golang-migrate/migrate/v4"
	"github.com/jackc/pgx/v5"

	"github.com/keylodge/keylodge/adapters/sqlstore"
	"github.com/keylodge/keylodge/ports/dbadmin"
)

// Status implements dbadmin.Schema. No migration is applied to a database without tables.
func (d *Database) Status(ctx context.Context) ([]dbadmin.Migration, error) {
	all, err := sqlstore.Migrations(SchemaFiles)
	if err != nil {
		return nil, err
	}
	conn, config, err := d.connect(ctx)
	if config == nil {
		return nil, err
	}
	if err != nil {
		return nil, wrapOpen(config.ConnConfig, err)
	}
	version, err := verifySchema(ctx, conn, sqlstore.NewestVersion(all))
	if err := closeConn(ctx, conn, err); err != nil {
		return nil, wrapOpen(config.ConnConfig, err)
	}
	return sqlstore.StatusAt(version, all), nil
}

// Up implements dbadmin.Schema. It upgrades as Open does.
func (d *Database) Up(ctx context.Context) ([]dbadmin.Migration, error) {
	before, err := d.Status(ctx)
	if err != nil {
		return nil, err
	}
	config, err := parse(d.url)
	if err != nil {
		return nil, err
	}
	if _, err := upgrade(ctx, config.ConnConfig, SchemaFiles); err != nil {
		return nil, wrapOpen(config.ConnConfig, err)
	}
	return slices.DeleteFunc(before, func(m dbadmin.Migration) bool { return m.Applied }), nil
}

// errDryRun rolls a dry run back.
var errDryRun = errors.New("this was a dry run")

// DryRunDown implements dbadmin.Schema. It reverts the migration, compares the tables, and rolls back.
func (d *Database) DryRunDown(ctx context.Context) (dbadmin.DataLoss, error) {
	loss, err := d.down(ctx, errDryRun)
	if errors.Is(err, errDryRun) {
		err = nil
	}
	return loss, err
}

// Down implements dbadmin.Schema.
func (d *Database) Down(ctx context.Context) (dbadmin.DataLoss, error) { return d.down(ctx, nil) }

func (d *Database) down(ctx context.Context, result error) (loss dbadmin.DataLoss, err error) {
	status, err := d.Status(ctx)
	if err != nil {
		return loss, err
	}
	if loss.Migration, err = sqlstore.ToRevert(status); err != nil {
		return dbadmin.DataLoss{}, err
	}
	config, err := parse(d.url)
	if err != nil {
		return loss, err
	}
	driver, err := connectDriver(ctx, config.ConnConfig, sqlstore.NewestVersion(status))
	if err != nil {
		return loss, wrapOpen(config.ConnConfig, wrap("connecting", err))
	}
	var before sqlstore.TableStats
	driver.beforeSteps = func() (err error) {
		if err := driver.lockExclusively(d.disconnectTimeout); err != nil {
			return err
		}
		before, err = readTableStats(ctx, driver.conn)
		return err
	}
	driver.afterSteps = func() error {
		after, err := readTableStats(ctx, driver.conn)
		if err != nil {
			return err
		}
		before.RecordLoss(after, &loss)
		if err := driver.requireNoOtherConnections(0); err != nil {
			return err
		}
		return result
	}
	if err := sqlstore.RunMigrations(SchemaFiles, driver, func(m *migrate.Migrate) error { return m.Steps(-1) }); err != nil {
		return loss, wrap(fmt.Sprintf("reverting migration %d; nothing was changed", loss.Migration.Version), err)
	}
	return loss, nil
}

// setDownLockTimeout is how long Down waits for locks on tables.
const setDownLockTimeout = "SET LOCAL lock_timeout = '2s'"

// lockExclusively prevents every server from starting, which reads the schema's version first, until the transaction ends. It
// returns an error if a server is still connected after the timeout.
func (d *migrationDriver) lockExclusively(timeout time.Duration) error {
	var version string
	if err := d.conn.QueryRow(d.ctx, "SELECT version()").Scan(&version); err != nil {
		return err
	}
	if !isPostgres(version) {
		return errNotPostgres(version)
	}
	if pooled, err := isPooled(d.ctx, d.conn); err != nil {
		return err
	} else if pooled {
		return errBehindPooler
	}
	if err := d.requireNoOtherConnections(timeout); err != nil {
		return err
	}
	err := exec(d.ctx, d.conn, setDownLockTimeout+"; LOCK TABLE schema_migrations IN ACCESS EXCLUSIVE MODE")
	if stateOf(err) == lockNotAvailable {
		return errInUse("a backup, or an open transaction")
	}
	return err
}

// countOtherConnections counts the connections of Keylodge without the driver's own. Their names are the default and that of the URL.
const countOtherConnections = `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
	AND application_name IN ('` + applicationName + `', current_setting('application_name')) AND pid <> ALL ($1::bigint[])`

// requireNoOtherConnections returns an error if other connections still exist after the timeout. A transaction caches
// pg_stat_activity when it first reads it, so each check clears that snapshot.
func (d *migrationDriver) requireNoOtherConnections(timeout time.Duration) error {
	own := []int64{int64(d.lockConn.PgConn().PID()), int64(d.conn.PgConn().PID())}
	for deadline := time.Now().Add(timeout); ; time.Sleep(50 * time.Millisecond) {
		if err := exec(d.ctx, d.lockConn, "SELECT pg_stat_clear_snapshot()"); err != nil {
			return err
		}
		var connections int
		if err := d.lockConn.QueryRow(d.ctx, countOtherConnections, own).Scan(&connections); err != nil {
			return err
		}
		if connections == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return errInUse(fmt.Sprintf("connections of Keylodge: %d", connections))
		}
	}
}

func readTableStats(ctx context.Context, conn *pgx.Conn) (sqlstore.TableStats, error) {
	s := sqlstore.TableStats{Rows: map[string]int64{}, Columns: map[string][]string{}}
	rows, err := conn.Query(ctx, `SELECT c.table_name::text, c.column_name::text FROM information_schema.columns AS c
		JOIN pg_tables AS t ON t.schemaname = c.table_schema AND t.tablename = c.table_name
		WHERE c.table_schema = current_schema() AND c.table_name NOT IN ('schema_migrations', 'schema_lock', 'schema_floor')`)
	if err != nil {
		return s, err
	}
	var table, column string
	if _, err := pgx.ForEachRow(rows, []any{&table, &column}, func() error {
		s.Columns[table] = append(s.Columns[table], column)
		return nil
	}); err != nil {
		return s, err
	}
	for table := range s.Columns {
		var rows int64
		if err := conn.QueryRow(ctx, "SELECT count(*) FROM "+pgx.Identifier{table}.Sanitize(), pgx.QueryExecModeExec).Scan(&rows); err != nil {
			return s, err
		}
		s.Rows[table] = rows
	}
	return s, nil
}
