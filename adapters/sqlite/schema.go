package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/golang-migrate/migrate/v4"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports/dbadmin"
)

// Status implements dbadmin.Schema. No migration is applied to a missing database.
func (f *File) Status(ctx context.Context) ([]dbadmin.Migration, error) {
	all, err := allMigrations()
	if err != nil {
		return nil, err
	}
	found, err := f.nonEmpty()
	if err != nil || !found {
		return all, err
	}
	db, err := f.open(ctx)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	version, err := db.verifySchema(ctx)
	if err != nil {
		return nil, wrapFile(f.path, err)
	}
	for i := range all {
		all[i].Applied = all[i].Version <= version
	}
	if version > newestVersion(all) {
		all = append(all, dbadmin.Migration{Version: version, Applied: true, Newer: true})
	}
	return all, nil
}

// Up implements dbadmin.Schema.
func (f *File) Up(ctx context.Context) ([]dbadmin.Migration, error) {
	before, err := f.Status(ctx)
	if err != nil {
		return nil, err
	}
	db, err := f.open(ctx)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	if err := useWAL(db.DB); err != nil {
		return nil, err
	}
	if _, err := upgrade(db.DB, SchemaFiles); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(before, func(m dbadmin.Migration) bool { return m.Applied }), nil
}

// errDryRun rolls a dry run back.
var errDryRun = errors.New("this was a dry run")

// DryRunDown implements dbadmin.Schema. It reverts the migration, compares the tables, and rolls back.
func (f *File) DryRunDown(ctx context.Context) (dbadmin.DataLoss, error) {
	loss, err := f.down(ctx, errDryRun)
	if errors.Is(err, errDryRun) {
		err = nil
	}
	return loss, err
}

// Down implements dbadmin.Schema.
func (f *File) Down(ctx context.Context) (dbadmin.DataLoss, error) { return f.down(ctx, nil) }

func (f *File) down(ctx context.Context, result error) (loss dbadmin.DataLoss, err error) {
	status, err := f.Status(ctx)
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
	db, err := f.open(ctx)
	if err != nil {
		return loss, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := db.lockExclusively(ctx); err != nil {
		return loss, err
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return loss, err
	}
	before, err := readTableStats(ctx, conn)
	if err != nil {
		return loss, errors.Join(err, conn.Close())
	}
	step := &migrationDriver{conn: conn}
	step.afterSteps = func() error {
		after, err := readTableStats(ctx, conn)
		if err == nil {
			before.recordLoss(after, &loss)
			err = result
		}
		return err
	}
	if err := withMigrations(step, SchemaFiles, func(m *migrate.Migrate) error { return m.Steps(-1) }); err != nil {
		return loss, errors.Join(fmt.Errorf("reverting migration %d; nothing was changed: %w", newest.Version, err), db.unlock(ctx))
	}
	return loss, db.unlock(ctx)
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

func readTableStats(ctx context.Context, conn *sql.Conn) (tableStats, error) {
	s := tableStats{map[string]int64{}, map[string][]string{}}
	columns, err := allColumns(ctx, conn)
	if err != nil {
		return s, err
	}
	for _, column := range columns {
		table, name, _ := strings.Cut(column, ".")
		s.columns[table] = append(s.columns[table], name)
	}
	for table := range s.columns {
		var rows int64
		// The name is quoted: another program may have added a table with any name.
		if err := conn.QueryRowContext(ctx, `SELECT count(*) FROM "`+strings.ReplaceAll(table, `"`, `""`)+`"`).Scan(&rows); err != nil {
			return s, err
		}
		s.rows[table] = rows
	}
	for _, table := range []string{"schema_migrations", "schema_floor"} {
		delete(s.rows, table)
		delete(s.columns, table)
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
