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

	"github.com/keylodge/keylodge/adapters/sqlstore"
	"github.com/keylodge/keylodge/db/column"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports/dbadmin"
)

// File is a whole database, for maintenance. It does not upgrade the schema. Other processes may have the file open.
type File struct{ path string }

var (
	_ dbadmin.Backups   = (*File)(nil)
	_ dbadmin.Schema    = (*File)(nil)
	_ dbadmin.Inspector = (*File)(nil)
)

// NewFile returns the database at path, which need not exist.
func NewFile(path string) *File { return &File{path} }

// sidecars are the suffixes of the files that SQLite keeps next to a database. Each belongs to that very file: next to another file of
// the same name SQLite would use it for that one (https://sqlite.org/howtocorrupt.html, section 1.4).
var sidecars = []string{"-journal", "-wal", "-shm"}

func errInUse(path string) error {
	return &domain.Error{
		Kind: domain.KindConflict, Code: "database_in_use",
		Message: "another process has the database " + path + " open; stop the server and every other program that uses it (Litestream, a shell), then try again",
	}
}

func errDatabaseMissing(path string) error {
	return &domain.Error{Kind: domain.KindUnavailable, Code: "no_database", Message: "there is no database at " + path}
}

// nonEmpty returns false for a missing or empty file, in which the first start creates the database.
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

// open opens the existing database.
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

// prepareFiles prepares the files as the server does, but creates no -shm file for a database without a write-ahead log.
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
		return nil // SQLite reports a file that is too short for a header
	}
	return prepareFiles(f.path)
}

// maintenanceDB has one connection to a file, so that its settings apply to everything until it is closed.
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

// raw calls do with the library's connection, for operations that database/sql does not have.
func (c *maintenanceDB) raw(ctx context.Context, do func(*sqlite3.Conn) error) error {
	conn, err := c.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return conn.Raw(func(raw any) error { return do(raw.(driver.Conn).Raw()) })
}

// lockExclusively locks the file until the connection is closed, and copies the write-ahead log into it. SQLite changes the journal mode
// only if no other process is connected, not even an idle one.
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

// unlock reverts lockExclusively: the database is in the server's journal mode again.
func (c *maintenanceDB) unlock(ctx context.Context) error {
	return c.exec(ctx, "PRAGMA locking_mode = NORMAL; PRAGMA journal_mode = WAL")
}

// inventory returns what the database contains. Its schema must have been verified.
func (c *maintenanceDB) inventory(ctx context.Context, version int) (dbadmin.Inventory, error) {
	inventory := dbadmin.Inventory{Schema: version}
	const sizes = `SELECT page_count, page_count * page_size, (SELECT count(*) FROM users), (SELECT count(*) FROM passkeys)
		FROM pragma_page_count, pragma_page_size`
	if err := c.QueryRowContext(ctx, sizes).Scan(&inventory.Pages, &inventory.Bytes, &inventory.Users, &inventory.Passkeys); err != nil {
		return inventory, err
	}
	var latest column.Time
	if err := c.QueryRowContext(ctx, "SELECT max(at) FROM events").Scan(&latest); err != nil {
		return inventory, err
	}
	inventory.LatestEvent = latest.Time
	rows, err := c.QueryContext(ctx, "SELECT id, algorithm, encrypted_key, created_at, signs_from FROM signing_keys ORDER BY signs_from, id")
	if err != nil {
		return inventory, err
	}
	defer rows.Close()
	for rows.Next() {
		var key domain.SigningKeyState
		var created, signs column.Time
		if err := rows.Scan(&key.ID, &key.Algorithm, &key.EncryptedKey, &created, &signs); err != nil {
			return inventory, err
		}
		key.CreatedAt, key.SignsFrom = created.Time, signs.Time
		inventory.SigningKeys = append(inventory.SigningKeys, domain.RestoreSigningKey(key))
	}
	return inventory, rows.Err()
}

// requireKeylodge is verifySchema, but returns an error for a database without tables.
func (c *maintenanceDB) requireKeylodge(ctx context.Context) (version int, err error) {
	version, err = c.verifySchema(ctx)
	if err == nil && version == 0 {
		err = errNotKeylodge("it is empty")
	}
	return version, err
}

// CheckOwner returns an error if the file at path is the database of another program, or if its tables cannot be listed. It changes
// nothing. It returns nil for a file that it cannot open: Open returns that error.
func CheckOwner(path string) error {
	ctx := context.Background()
	db, err := NewFile(path).open(ctx)
	if err != nil {
		return nil
	}
	defer db.Close()
	err = db.requireOwnTables(ctx)
	if _, foreign := errors.AsType[*domain.Error](err); foreign {
		return fmt.Errorf("opening the database %s: %w; set KEYLODGE_DATABASE_URL to another file", path, err)
	}
	if err != nil {
		return fmt.Errorf("opening the database %s: %w", path, wrap("listing the tables", err))
	}
	return nil
}

// requireOwnTables returns an error if the tables are another program's. Tables whose names begin with an underscore may be those of
// Litestream, which may open the database before its first start.
func (c *maintenanceDB) requireOwnTables(ctx context.Context) error {
	tables, err := queryStrings(ctx, c, `SELECT name FROM sqlite_schema WHERE type = 'table'
		AND name NOT LIKE 'sqlite\_%' ESCAPE '\' AND name NOT LIKE '\_%' ESCAPE '\' ORDER BY name`)
	if err != nil || len(tables) == 0 {
		return err
	}
	own := slices.Contains(tables, "schema_migrations")
	if own && (!slices.Contains(tables, "users") || !slices.Contains(tables, "passkeys")) {
		// Other programs have a table of this name, too. It is empty here if all migrations were reverted.
		applied, err := queryStrings(ctx, c, "SELECT 'applied' FROM schema_migrations LIMIT 1")
		if err != nil {
			return err
		}
		own = len(applied) == 0
	}
	if !own {
		return errNotKeylodge("it has tables of another program, such as " + tables[0])
	}
	return nil
}

// verifySchema returns the version of the schema. It returns 0 if all migrations were reverted, and an error if the schema is not one
// of Keylodge's or not compatible with this program.
func (c *maintenanceDB) verifySchema(ctx context.Context) (version int, err error) {
	known, err := sqlstore.Migrations(SchemaFiles)
	if err != nil {
		return 0, err
	}
	if err := c.requireOwnTables(ctx); err != nil {
		return 0, err
	}
	newest := sqlstore.NewestVersion(known)
	var tables, versions, dirty int
	if err := c.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'schema_migrations'").Scan(&tables); err != nil {
		return 0, err
	}
	if tables == 0 {
		return 0, errNotKeylodge("it has no table schema_migrations")
	}
	if err := c.QueryRowContext(ctx, "SELECT count(*), COALESCE(max(version), 0), COALESCE(max(dirty), 0) FROM schema_migrations").Scan(&versions, &version, &dirty); err != nil {
		return 0, errNotKeylodge("its table schema_migrations cannot be read")
	}
	switch {
	case versions == 0:
		return 0, nil
	case versions != 1 || dirty != 0 || version < 1:
		return 0, errNotKeylodge("its table schema_migrations has invalid contents")
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

func errNotKeylodge(reason string) error {
	return &domain.Error{Kind: domain.KindInvalid, Code: "not_a_keylodge_database", Message: "this is not a Keylodge database: " + reason}
}

// missingColumns returns the columns of that schema version that this database lacks. Additional tables are allowed: Litestream, for
// example, adds its own.
func (c *maintenanceDB) missingColumns(ctx context.Context, version int) ([]string, error) {
	reference, err := newReferenceDB(version)
	if err != nil {
		return nil, err
	}
	defer reference.Close()
	want, err := allColumns(ctx, reference)
	if err != nil {
		return nil, err
	}
	columns, err := allColumns(ctx, c.DB)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(want, func(column string) bool { return slices.Contains(columns, column) }), nil
}

// allColumns lists every column of every table as table.column.
func allColumns(ctx context.Context, db querier) ([]string, error) {
	return queryStrings(ctx, db, `SELECT t.name || '.' || c.name FROM sqlite_schema AS t, pragma_table_info(t.name) AS c
		WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite\_%' ESCAPE '\' ORDER BY t.name, c.cid`)
}

// querier is a database or a connection.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func queryStrings(ctx context.Context, db querier, query string) ([]string, error) {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var texts []string
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		texts = append(texts, text)
	}
	return texts, rows.Err()
}

// newReferenceDB creates an empty database of that schema version in memory.
func newReferenceDB(version int) (*sql.DB, error) {
	db, err := driver.Open(":memory:")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1) // the database exists as long as its connection
	conn, err := db.Conn(context.Background())
	if err == nil {
		err = withMigrations(&migrationDriver{conn: conn}, SchemaFiles, func(m *migrate.Migrate) error { return m.Migrate(uint(version)) })
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}
