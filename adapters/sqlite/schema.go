package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/golang-migrate/migrate/v4"

	"github.com/keylodge/keylodge/adapters/sqlstore"
	"github.com/keylodge/keylodge/ports/dbadmin"
)

// Status implements dbadmin.Schema. No migration is applied to a missing database.
func (f *File) Status(ctx context.Context) ([]dbadmin.Migration, error) {
	all, err := sqlstore.Migrations(SchemaFiles)
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
	return sqlstore.StatusAt(version, all), nil
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
	if loss.Migration, err = sqlstore.ToRevert(status); err != nil {
		return dbadmin.DataLoss{}, err
	}
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
			before.RecordLoss(after, &loss)
			err = result
		}
		return err
	}
	if err := withMigrations(step, SchemaFiles, func(m *migrate.Migrate) error { return m.Steps(-1) }); err != nil {
		return loss, errors.Join(fmt.Errorf("reverting migration %d; nothing was changed: %w", loss.Migration.Version, err), db.unlock(ctx))
	}
	return loss, db.unlock(ctx)
}

func readTableStats(ctx context.Context, conn *sql.Conn) (sqlstore.TableStats, error) {
	s := sqlstore.TableStats{Rows: map[string]int64{}, Columns: map[string][]string{}}
	columns, err := allColumns(ctx, conn)
	if err != nil {
		return s, err
	}
	for _, column := range columns {
		table, name, _ := strings.Cut(column, ".")
		s.Columns[table] = append(s.Columns[table], name)
	}
	for table := range s.Columns {
		var rows int64
		// The name is quoted: another program may have added a table with any name.
		if err := conn.QueryRowContext(ctx, `SELECT count(*) FROM "`+strings.ReplaceAll(table, `"`, `""`)+`"`).Scan(&rows); err != nil {
			return s, err
		}
		s.Rows[table] = rows
	}
	for _, table := range []string{"schema_migrations", "schema_floor"} {
		delete(s.Rows, table)
		delete(s.Columns, table)
	}
	return s, nil
}
