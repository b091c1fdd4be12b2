// Package sqlitestore gives tests SQLite databases in memory.
package sqlitestore

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/fstest"

	"github.com/ncruces/go-sqlite3/driver"
	_ "github.com/ncruces/go-sqlite3/vfs/memdb" // the VFS that the URIs name

	"github.com/keylodge/keylodge/adapters/sqlite"
	"github.com/keylodge/keylodge/domain"
)

// database is a database in memory. It exists while a connection to it is open.
type database struct {
	store *sqlite.Store
	admin *sql.DB // deletes rows in any order, since it ignores foreign keys
}

var (
	opened atomic.Int64 // the number of databases that this process has opened
	// free are empty databases that no test uses. Deleting all rows takes a fiftieth of the time of opening a database.
	free = make(chan *database, 64)
)

// New returns a store with an empty database that only this test uses. The test must not close the store.
func New(t testing.TB) *sqlite.Store {
	t.Helper()
	var d *database
	select {
	case d = <-free:
	default:
		d = open(t)
	}
	t.Cleanup(func() {
		if err := d.deleteAllRows(); err != nil {
			t.Errorf("emptying the test's database: %v", err)
			return
		}
		select {
		case free <- d:
		default: // the pool is full; the database ends with the process
		}
	})
	return d.store
}

// NewInBubble is New for a test in a synctest bubble. The store's goroutines belong to the bubble, so no other test gets the store. Its
// database is a file: connections to a database in memory sleep while another one holds its lock, which advances the bubble's time.
func NewInBubble(t testing.TB) *sqlite.Store {
	t.Helper()
	store, err := sqlite.Open(filepath.Join(t.TempDir(), "keylodge.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}

// Open returns a store with an empty database, for a caller that uses it after the end of a test. The caller closes it.
func Open() (*sqlite.Store, error) { return sqlite.OpenURI(newURI() + "&_pragma=foreign_keys(ON)") }

func newURI() string {
	return fmt.Sprintf("file:/test%d?vfs=memdb&_pragma=busy_timeout(10000)", opened.Add(1))
}

func open(t testing.TB) *database {
	t.Helper()
	uri := newURI()
	admin, err := driver.Open(uri + "&_pragma=foreign_keys(OFF)")
	if err != nil {
		t.Fatal(err)
	}
	admin.SetMaxOpenConns(1)
	store, err := sqlite.OpenURI(uri + "&_pragma=foreign_keys(ON)")
	if err != nil {
		t.Fatal(err)
	}
	return &database{store: store, admin: admin}
}

// deleteAllRows deletes every row except those that describe the schema.
func (d *database) deleteAllRows() error {
	var statements string
	const query = `SELECT group_concat('DELETE FROM ' || name, ';') FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'schema%' AND name NOT LIKE 'sqlite%'`
	if err := d.admin.QueryRowContext(context.Background(), query).Scan(&statements); err != nil {
		return err
	}
	_, err := d.admin.ExecContext(context.Background(), "BEGIN IMMEDIATE;"+statements+";COMMIT")
	return err
}

// Registration returns a registration of a device-bound passkey, with a value for every required column. Its key is not a real one.
func Registration(id domain.CredentialID) domain.Registration {
	return domain.Registration{
		CredentialID: id, PublicKey: []byte("test"), Flags: 1<<0 | 1<<2, // user present and verified
		Attestation: Attestation(),
	}
}

// Attestation returns an attestation with a value for every required column.
func Attestation() domain.Attestation {
	value := []byte("test")
	return domain.Attestation{Object: value, AuthenticatorData: value, ClientDataJSON: value}
}

// Credential returns the state as a passkey with the key and flags of Registration. Without a status it is active.
func Credential(s domain.CredentialState) *domain.Credential {
	r := Registration(s.ID)
	s.PublicKey, s.Flags = r.PublicKey, r.Flags
	if s.Status == "" {
		s.Status = domain.CredentialActive
	}
	return domain.RestoreCredential(s)
}

// AddMigrations makes the SQLite adapter apply the migrations of a folder after those of this release, until the test ends, so that the
// test can upgrade and revert. Such a test must not run in parallel with others.
func AddMigrations(t testing.TB, folder string) {
	t.Helper()
	all := fstest.MapFS{}
	for _, files := range []fs.FS{sqlite.SchemaFiles, os.DirFS(folder)} {
		names, err := fs.Glob(files, "*.sql")
		if err != nil || len(names) == 0 {
			t.Fatalf("%d migrations, error %v", len(names), err)
		}
		for _, name := range names {
			text, err := fs.ReadFile(files, name)
			if err != nil {
				t.Fatal(err)
			}
			all[name] = &fstest.MapFile{Data: text}
		}
	}
	released := sqlite.SchemaFiles
	sqlite.SchemaFiles = all
	t.Cleanup(func() { sqlite.SchemaFiles = released })
}
