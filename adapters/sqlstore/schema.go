package sqlstore

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/golang-migrate/migrate/v4"
	"github.com/golang-migrate/migrate/v4/database"
	"github.com/golang-migrate/migrate/v4/source"
	"github.com/golang-migrate/migrate/v4/source/iofs"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports/dbadmin"
)

// Migrations returns the migrations in files, oldest first. files must have at least one.
func Migrations(files fs.FS) ([]dbadmin.Migration, error) {
	names, err := fs.Glob(files, "*.up.sql")
	if err != nil {
		return nil, err
	}
	all := make([]dbadmin.Migration, len(names)) // in the order of their names, which begin with their numbers
	for i, name := range names {
		parsed, err := source.DefaultParse(name)
		if err != nil {
			return nil, fmt.Errorf("reading the migrations: %w", err)
		}
		all[i] = dbadmin.Migration{Version: int(parsed.Version), Name: parsed.Identifier}
	}
	return all, nil
}

// RunMigrations runs step on the given migrations with the driver, and closes the driver. It returns nil if there is nothing to do, for
// example because another server was faster.
func RunMigrations(files fs.FS, driver database.Driver, step func(*migrate.Migrate) error) error {
	steps, err := iofs.New(files, ".")
	if err != nil {
		return errors.Join(fmt.Errorf("reading the migrations: %w", err), driver.Close())
	}
	m, err := migrate.NewWithInstance("iofs", steps, "database", driver)
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

// lockTimeout bounds how long an upgrade waits for that of another server.
const lockTimeout = time.Hour

// NewestVersion returns the version of the last migration.
func NewestVersion(all []dbadmin.Migration) int { return all[len(all)-1].Version }

// StatusAt returns all migrations with their status in a database whose schema has that version.
func StatusAt(version int, all []dbadmin.Migration) []dbadmin.Migration {
	for i := range all {
		all[i].Applied = all[i].Version <= version
	}
	if version > NewestVersion(all) {
		all = append(all, dbadmin.Migration{Version: version, Applied: true, Newer: true})
	}
	return all
}

// ToRevert returns the newest applied migration. It returns an error if none is applied, or if only a newer release can revert it.
func ToRevert(status []dbadmin.Migration) (dbadmin.Migration, error) {
	for _, m := range slices.Backward(status) {
		switch {
		case m.Newer:
			return m, ErrNewerRelease(m.Version, NewestVersion(status[:len(status)-1]))
		case m.Applied:
			return m, nil
		}
	}
	return dbadmin.Migration{}, &domain.Error{Kind: domain.KindConflict, Code: "nothing_to_undo", Message: "no migration is applied, so there is none to revert"}
}

// ErrNewerRelease is returned for the schema of a newer release, on which this program cannot run.
func ErrNewerRelease(version, newest int) error {
	return &domain.Error{
		Kind: domain.KindConflict, Code: "newer_release",
		Message: fmt.Sprintf("its schema is version %d, of a newer release, and this program knows up to %d: start the newer release, "+
			"or revert the schema with the newer release's \"keylodge migrate down\", or restore a backup from before the upgrade", version, newest),
	}
}

// NewerSchemaError is returned if a newer release has upgraded the schema and this program can run on it.
type NewerSchemaError struct{ Version int }

func (e NewerSchemaError) Error() string {
	return fmt.Sprintf("a newer release has upgraded the schema to version %d", e.Version)
}

// TableStats holds the number of rows and the columns of each table.
type TableStats struct {
	Rows    map[string]int64
	Columns map[string][]string
}

// RecordLoss adds to loss the rows, columns and tables of before that after lacks.
func (before TableStats) RecordLoss(after TableStats, loss *dbadmin.DataLoss) {
	loss.Rows = map[string]int64{}
	for table, columns := range before.Columns {
		if lost := before.Rows[table] - after.Rows[table]; lost > 0 {
			loss.Rows[table] = lost
		}
		remaining, found := after.Columns[table]
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
