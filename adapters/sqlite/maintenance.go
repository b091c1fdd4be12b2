package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"

	"github.com/golang-migrate/migrate/v4"
	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/driver"

	"github.com/keylodge/keylodge/db/column"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports/dbadmin"
)

// File is a database as a whole, for its upkeep: it is not opened for serving, and its schema is left as it is. Others may
// have it open meanwhile.
type File struct{ path string }

var (
	_ dbadmin.Backups   = (*File)(nil)
	_ dbadmin.Schema    = (*File)(nil)
	_ dbadmin.Inspector = (*File)(nil)
)

// NewFile names the database at path, which need not be there.
func NewFile(path string) *File { return &File{path} }

// sidecars are the files that SQLite keeps beside a database. Each belongs to that very file: beside another one of its
// name it would be taken for that one's (https://sqlite.org/howtocorrupt.html, section 1.4).
var sidecars = []string{"-journal", "-wal", "-shm"}

func errInUse(path string) error {
	return &domain.Error{
		Kind: domain.KindConflict, Code: "database_in_use",
		Message: "somebody has the database " + path + " open; stop the server, and whatever else reads it (Litestream, a shell), then try again",
	}
}

func errDatabaseMissing(path string) error {
	return &domain.Error{Kind: domain.KindUnavailable, Code: "no_database", Message: "there is no database at " + path}
}

// nonEmpty is false for what is not there and for an empty file, which is a database to be.
func (f *File) nonEmpty() (bool, error) {
	info, err := os.Stat(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, wrapOpen(f.path, err)
	}
	if info.IsDir() {
		return false, wrapOpen(f.path, errIsDirectory)
	}
	return info.Size() > 0, nil
}

// open opens the database that is there.
func (f *File) open(ctx context.Context) (*maintenanceDB, error) {
	found, err := f.nonEmpty()
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, errDatabaseMissing(f.path)
	}
	if err := f.prepareFiles(); err != nil {
		return nil, err
	}
	db, err := connectTo(ctx, f.path)
	if err != nil {
		return nil, wrapFile(f.path, err)
	}
	return db, nil
}

// prepareFiles does as the server does, but makes no file for a write-ahead log that there is none of.
func (f *File) prepareFiles() error {
	if _, err := prepareFile(f.path); err != nil {
		return wrapOpen(f.path, err)
	}
	var start [20]byte
	database, err := os.Open(f.path)
	if err != nil {
		return wrapOpen(f.path, err)
	}
	defer database.Close()
	const readVersion, wal = 19, 2 // https://sqlite.org/fileformat.html, section 1.3.3
	if _, err := io.ReadFull(database, start[:]); err != nil || start[readVersion] != wal {
		return nil // one that is too short for a header is found out by SQLite
	}
	return prepareFiles(f.path)
}

// maintenanceDB is a file by one connection, so that what is set on it holds for all that follows, until it is closed.
type maintenanceDB struct {
	*sql.DB
	path string
}

func connectTo(ctx context.Context, path string) (*maintenanceDB, error) {
	db, err := openMode("rw", path)
	if err != nil {
		return nil, fmt.Errorf("opening the database %s: %w", path, err)
	}
	db.SetMaxOpenConns(1)
	if err := db.PingContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("opening the database %s: %w", path, err), db.Close())
	}
	return &maintenanceDB{db, path}, nil
}

func (c *maintenanceDB) exec(ctx context.Context, statements string) error {
	_, err := c.ExecContext(ctx, statements)
	return err
}

// raw lends the library's own connection, for what database/sql does not know.
func (c *maintenanceDB) raw(ctx context.Context, do func(*sqlite3.Conn) error) error {
	conn, err := c.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return conn.Raw(func(raw any) error { return do(raw.(driver.Conn).Raw()) })
}

// lockExclusively keeps everybody else out until the connection is closed, and folds the write-ahead log into the file. Leaving the
// mode of that log takes that nobody else is connected, not even idly: SQLite itself finds that out, for all processes.
func (c *maintenanceDB) lockExclusively(ctx context.Context) error {
	err := c.exec(ctx, "PRAGMA busy_timeout = 0; PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE; COMMIT")
	if errors.Is(err, sqlite3.BUSY) {
		return errInUse(c.path)
	}
	if err != nil {
		return wrapFile(c.path, err)
	}
	return nil
}

// unlock undoes alone, as far as others are concerned, so that the database is as the server keeps it.
func (c *maintenanceDB) unlock(ctx context.Context) error {
	return c.exec(ctx, "PRAGMA locking_mode = NORMAL; PRAGMA journal_mode = WAL")
}

// inventory says what the database holds. It has been recognised.
func (c *maintenanceDB) inventory(ctx context.Context, version int) (dbadmin.Inventory, error) {
	found := dbadmin.Inventory{Schema: version}
	const sizes = `SELECT page_count, page_count * page_size, (SELECT count(*) FROM users), (SELECT count(*) FROM passkeys)
		FROM pragma_page_count, pragma_page_size`
	if err := c.QueryRowContext(ctx, sizes).Scan(&found.Pages, &found.Bytes, &found.Users, &found.Passkeys); err != nil {
		return found, err
	}
	var latest column.Time
	if err := c.QueryRowContext(ctx, "SELECT max(at) FROM events").Scan(&latest); err != nil {
		return found, err
	}
	found.LatestEvent = latest.Time
	rows, err := c.QueryContext(ctx, "SELECT id, algorithm, encrypted_key, created_at, signs_from FROM signing_keys ORDER BY signs_from, id")
	if err != nil {
		return found, err
	}
	defer rows.Close()
	for rows.Next() {
		var key domain.SigningKeyState
		var created, signs column.Time
		if err := rows.Scan(&key.ID, &key.Algorithm, &key.EncryptedKey, &created, &signs); err != nil {
			return found, err
		}
		key.CreatedAt, key.SignsFrom = created.Time, signs.Time
		found.SigningKeys = append(found.SigningKeys, domain.RestoreSigningKey(key))
	}
	return found, rows.Err()
}

// requireKeylodge fails for a database that is not ours, or of ours and without any table.
func (c *maintenanceDB) requireKeylodge(ctx context.Context) error {
	version, err := c.verifySchema(ctx)
	if err == nil && version == 0 {
		err = errNotKeylodge("it holds nothing yet")
	}
	return err
}

// verifySchema returns the version of the database's schema, 0 if every migration was taken back, or says why it is none of
// ours, or of none that this program may serve on.
func (c *maintenanceDB) verifySchema(ctx context.Context) (version int, err error) {
	known, err := allMigrations()
	if err != nil {
		return 0, err
	}
	newest := newestVersion(known)
	var tables, versions, dirty int
	if err := c.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'schema_migrations'").Scan(&tables); err != nil {
		return 0, err
	}
	if tables == 0 {
		return 0, errNotKeylodge("it has no schema_migrations")
	}
	if err := c.QueryRowContext(ctx, "SELECT count(*), COALESCE(max(version), 0), COALESCE(max(dirty), 0) FROM schema_migrations").Scan(&versions, &version, &dirty); err != nil {
		return 0, errNotKeylodge("its schema_migrations cannot be read")
	}
	switch {
	case versions == 0:
		return 0, nil
	case versions != 1 || dirty != 0 || version < 1:
		return 0, errNotKeylodge("its schema_migrations is not as Keylodge writes it")
	case version > newest:
		if err := requireCompatible(ctx, c.DB, version, newest); err != nil {
			return version, err
		}
	}
	missing, err := c.missingColumns(ctx, min(version, newest))
	if err != nil {
		return 0, err
	}
	if len(missing) > 0 {
		return 0, errNotKeylodge(fmt.Sprintf("of schema version %d it lacks %s", version, missing[0]))
	}
	return version, nil
}

func errNotKeylodge(why string) error {
	return &domain.Error{Kind: domain.KindInvalid, Code: "not_a_keylodge_database", Message: "this is not a database of Keylodge: " + why}
}

func errNewerRelease(version, newest int) error {
	return &domain.Error{
		Kind: domain.KindConflict, Code: "newer_release",
		Message: fmt.Sprintf("its schema is version %d and this program knows up to %d: a newer release made it; start that one, "+
			"or take the schema back with that one's \"keylodge migrate down\", or restore a backup from before the upgrade", version, newest),
	}
}

// missingColumns are the columns that a database of that version has and this one lacks. More than those may be there:
// Litestream, for one, adds tables of its own.
func (c *maintenanceDB) missingColumns(ctx context.Context, version int) ([]string, error) {
	model, err := newReferenceDB(version)
	if err != nil {
		return nil, err
	}
	defer model.Close()
	want, err := allColumns(ctx, model)
	if err != nil {
		return nil, err
	}
	there, err := allColumns(ctx, c.DB)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(want, func(column string) bool { return slices.Contains(there, column) }), nil
}

// allColumns lists every column of every table as table.column.
func allColumns(ctx context.Context, db querier) ([]string, error) {
	return queryStrings(ctx, db, `SELECT t.name || '.' || c.name FROM sqlite_schema AS t, pragma_table_info(t.name) AS c
		WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite\_%' ESCAPE '\' ORDER BY t.name, c.cid`)
}

// querier is a database, or one connection to it.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func queryStrings(ctx context.Context, db querier, query string) ([]string, error) {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var found []string
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		found = append(found, text)
	}
	return found, rows.Err()
}

// newReferenceDB makes an empty database of that version in memory.
func newReferenceDB(version int) (*sql.DB, error) {
	db, err := driver.Open(":memory:")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1) // with its only connection the database would go
	conn, err := db.Conn(context.Background())
	if err == nil {
		err = withMigrations(&migrationDriver{conn: conn}, SchemaFiles, func(m *migrate.Migrate) error { return m.Migrate(uint(version)) })
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}
