package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/golang-migrate/migrate/v4"
	"github.com/golang-migrate/migrate/v4/source"
	"github.com/jackc/pgx/v5"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports/dbadmin"
)

// Status implements dbadmin.Schema. No migration is applied to a database without tables.
func (d *Database) Status(ctx context.Context) ([]dbadmin.Migration, error) {
	all, err := allMigrations()
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
	version, err := verifySchema(ctx, conn, newestVersion(all))
	if err := closeConn(ctx, conn, err); err != nil {
		return nil, wrapOpen(config.ConnConfig, err)
	}
	for i := range all {
		all[i].Applied = all[i].Version <= version
	}
	if version > newestVersion(all) {
		all = append(all, dbadmin.Migration{Version: version, Applied: true, Newer: true})
	}
	return all, nil
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
	newest := lastApplied(status)
	if newest == nil {
		return loss, &domain.Error{Kind: domain.KindConflict, Code: "nothing_to_undo", Message: "no migration is applied, so there is none to revert"}
	}
	if newest.Newer {
		return loss, errNewerRelease(newest.Version, newestVersion(status[:len(status)-1]))
	}
	loss.Migration = *newest
	config, err := parse(d.url)
	if err != nil {
		return loss, err
	}
	driver, err := connectDriver(ctx, config.ConnConfig, newestVersion(status))
	if err != nil {
		return loss, wrapOpen(config.ConnConfig, wrap("connecting", err))
	}
	var before tableStats
	driver.beforeSteps = func() (err error) {
		if err := driver.lockExclusively(); err != nil {
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
		before.recordLoss(after, &loss)
		if err := driver.requireNoOtherConnections(0); err != nil {
			return err
		}
		return result
	}
	if err := withMigrations(driver, SchemaFiles, func(m *migrate.Migrate) error { return m.Steps(-1) }); err != nil {
		return loss, wrap(fmt.Sprintf("reverting migration %d; nothing was changed", newest.Version), err)
	}
	return loss, nil
}

// How long Down waits for servers that are stopping, and for locks on tables.
const (
	disconnectTimeout  = 5 * time.Second
	setDownLockTimeout = "SET LOCAL lock_timeout = '2s'"
)

// lockExclusively prevents every server from starting, which reads the schema's version first, until the transaction ends. It
// returns an error if a server is connected.
func (d *migrationDriver) lockExclusively() error {
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
	if err := d.requireNoOtherConnections(disconnectTimeout); err != nil {
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

// allMigrations returns the migrations of this program, oldest first.
func allMigrations() ([]dbadmin.Migration, error) {
	files, err := fs.Glob(SchemaFiles, "*.up.sql")
	if err != nil {
		return nil, err
	}
	all := make([]dbadmin.Migration, len(files)) // in the order of their names, which begin with their numbers
	for i, file := range files {
		parsed, err := source.DefaultParse(file)
		if err != nil {
			return nil, err
		}
		all[i] = dbadmin.Migration{Version: int(parsed.Version), Name: parsed.Identifier}
	}
	return all, nil
}

func newestVersion(all []dbadmin.Migration) int { return all[len(all)-1].Version }

func lastApplied(status []dbadmin.Migration) *dbadmin.Migration {
	for i := range slices.Backward(status) {
		if status[i].Applied {
			return &status[i]
		}
	}
	return nil
}

// tableStats holds the number of rows and the columns of each table.
type tableStats struct {
	rows    map[string]int64
	columns map[string][]string
}

func readTableStats(ctx context.Context, conn *pgx.Conn) (tableStats, error) {
	s := tableStats{map[string]int64{}, map[string][]string{}}
	rows, err := conn.Query(ctx, `SELECT c.table_name::text, c.column_name::text FROM information_schema.columns AS c
		JOIN pg_tables AS t ON t.schemaname = c.table_schema AND t.tablename = c.table_name
		WHERE c.table_schema = current_schema() AND c.table_name NOT IN ('schema_migrations', 'schema_lock', 'schema_floor')`)
	if err != nil {
		return s, err
	}
	var table, column string
	if _, err := pgx.ForEachRow(rows, []any{&table, &column}, func() error {
		s.columns[table] = append(s.columns[table], column)
		return nil
	}); err != nil {
		return s, err
	}
	for table := range s.columns {
		var rows int64
		if err := conn.QueryRow(ctx, "SELECT count(*) FROM "+pgx.Identifier{table}.Sanitize(), pgx.QueryExecModeExec).Scan(&rows); err != nil {
			return s, err
		}
		s.rows[table] = rows
	}
	return s, nil
}

// recordLoss adds to loss the rows, columns and tables of before that after lacks.
func (before tableStats) recordLoss(after tableStats, loss *dbadmin.DataLoss) {
	loss.Rows = map[string]int64{}
	for table, columns := range before.columns {
		if lost := before.rows[table] - after.rows[table]; lost > 0 {
			loss.Rows[table] = lost
		}
		remaining, found := after.columns[table]
		if !found {
			loss.Tables = append(loss.Tables, table)
			continue
		}
		for _, column := range columns {
			if !slices.Contains(remaining, column) {
				loss.Columns = append(loss.Columns, table+"."+column)
			}
		}
	}
	slices.Sort(loss.Tables)
	slices.Sort(loss.Columns)
}
