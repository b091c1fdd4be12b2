package sqlite

import (
	"database/sql"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/golang-migrate/migrate/v4"
	"github.com/golang-migrate/migrate/v4/source/iofs"

	"github.com/keylodge/keylodge/migrations"
)

func TestAnUpgradeHappensOnce(t *testing.T) {
	db := newDatabase(t)
	files := steps("CREATE TABLE a (n INTEGER)", "CREATE TABLE b (n INTEGER); INSERT INTO b VALUES (1)")
	for range 2 {
		wantUpgrade(t, db, files, "")
		wantState(t, db, "version 2, tables a b")
	}
	wantUpgrade(t, db, steps("CREATE TABLE a (n INTEGER)", "CREATE TABLE b (n INTEGER)", "DROP TABLE a"), "")
	wantState(t, db, "version 3, tables b")
}

func TestAnUpgradeThatFailsChangesNothing(t *testing.T) {
	const parent = "CREATE TABLE parent (id INTEGER PRIMARY KEY)"
	const child = "CREATE TABLE child (parent INTEGER REFERENCES parent (id)); INSERT INTO child VALUES (1)"
	for name, broken := range map[string]struct{ step, reason string }{
		"in its syntax":      {"CREATE TABLE c (n INTEGER); CREATE TABEL d (n INTEGER)", "syntax error"},
		"in its data":        {"CREATE TABLE c (n INTEGER NOT NULL); INSERT INTO c VALUES (NULL)", "NOT NULL"},
		"in its foreign key": {parent + ";" + child, "a row of child refers to a row of parent that is not there"},
	} {
		t.Run(name, func(t *testing.T) {
			db := newDatabase(t)
			wantUpgrade(t, db, steps("CREATE TABLE a (n INTEGER)"), "")
			wantUpgrade(t, db, steps("CREATE TABLE a (n INTEGER)", "CREATE TABLE b (n INTEGER)", broken.step), broken.reason)
			wantState(t, db, "version 1, tables a")
			wantUpgrade(t, db, steps("CREATE TABLE a (n INTEGER)", "CREATE TABLE b (n INTEGER)"), "")
			wantState(t, db, "version 2, tables a b")
		})
	}
}

func TestRebuildingATableKeepsWhatRefersToIt(t *testing.T) {
	db := newDatabase(t)
	wantUpgrade(t, db, steps(
		"CREATE TABLE parent (id INTEGER PRIMARY KEY); INSERT INTO parent VALUES (1)",
		"CREATE TABLE child (parent INTEGER REFERENCES parent (id) ON DELETE CASCADE); INSERT INTO child VALUES (1)",
		"CREATE TABLE new (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO new (id) SELECT id FROM parent; DROP TABLE parent; ALTER TABLE new RENAME TO parent",
	), "")
	var children, enforced int
	if err := db.QueryRow("SELECT (SELECT count(*) FROM child), foreign_keys FROM pragma_foreign_keys").Scan(&children, &enforced); err != nil {
		t.Fatal(err)
	}
	if children != 1 || enforced != 1 {
		t.Errorf("%d children are left, want 1; foreign keys are %d afterwards, want 1", children, enforced)
	}
}

func TestADatabaseOfANewerReleaseIsRefused(t *testing.T) {
	db := newDatabase(t)
	wantUpgrade(t, db, steps("CREATE TABLE a (n INTEGER)", "CREATE TABLE b (n INTEGER)"), "")
	wantUpgrade(t, db, steps("CREATE TABLE a (n INTEGER)"), "its schema is version 2 and this program knows up to 1: a newer release made it; start that one")
	wantState(t, db, "version 2, tables a b")
}

func TestManyMayStartAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keylodge.db")
	var starts sync.WaitGroup
	for range 8 {
		starts.Go(func() {
			s, err := Open(path)
			if err != nil {
				t.Error(err)
				return
			}
			if err := s.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
	}
	starts.Wait()
	openAt(t, path)
}

func TestEveryMigrationCanBeUndone(t *testing.T) {
	db := newDatabase(t)
	wantUpgrade(t, db, migrations.SQLite(), "")
	files, err := iofs.New(migrations.SQLite(), ".")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	m, err := migrate.NewWithInstance("iofs", files, "sqlite", &migrationDriver{conn: conn, newest: 9999})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := m.Down(); err != nil {
		t.Fatal(err)
	}
	wantState(t, db, "version -1, tables ")
}

// steps are migrations of those statements, numbered from 1.
func steps(statements ...string) fs.FS {
	files := fstest.MapFS{}
	for i, statement := range statements {
		files[fmt.Sprintf("%04d_step.up.sql", i+1)] = &fstest.MapFile{Data: []byte(statement)}
	}
	return files
}

func newDatabase(t *testing.T) *sql.DB {
	t.Helper()
	db, err := openDatabase(filepath.Join(t.TempDir(), "keylodge.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// wantUpgrade fails the test unless the upgrade's error says the reason; "" is no error.
func wantUpgrade(t *testing.T, db *sql.DB, files fs.FS, reason string) {
	t.Helper()
	err := upgrade(db, files)
	if (err == nil) != (reason == "") || err != nil && !strings.Contains(err.Error(), reason) {
		t.Fatalf("upgrade: got error %v, want %q", err, reason)
	}
}

func wantState(t *testing.T, db *sql.DB, want string) {
	t.Helper()
	const query = `SELECT 'version ' || COALESCE((SELECT max(version) FROM schema_migrations), -1) || ', tables '
		|| COALESCE((SELECT group_concat(name, ' ' ORDER BY name) FROM sqlite_schema WHERE type = 'table' AND name <> 'schema_migrations'), '')`
	var got string
	if err := db.QueryRow(query).Scan(&got); err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Fatalf("the database has %s; want %s", got, want)
	}
}
