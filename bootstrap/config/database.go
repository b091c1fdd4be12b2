package config

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/keylodge/keylodge/adapters/postgres"
	"github.com/keylodge/keylodge/adapters/sqlite"
	"github.com/keylodge/keylodge/ports"
	"github.com/keylodge/keylodge/ports/dbadmin"
)

// Database is the address of the server's data: an SQLite file or a database on a PostgreSQL server. Printed, it does not
// contain the password.
type Database struct {
	path string // of the SQLite file; "" for PostgreSQL
	url  string // of the PostgreSQL database; "" for SQLite
}

// SQLite returns the address of a file. Open creates the file if it does not exist.
func SQLite(path string) Database { return Database{path: path} }

// Postgres returns the address of a database on a PostgreSQL server, from its connection URI.
func Postgres(url string) Database { return Database{url: url} }

// IsServer reports whether the database is on a PostgreSQL server.
func (d Database) IsServer() bool { return d.url != "" }

// String returns the path of the file, or name, host and user on the server.
func (d Database) String() string {
	if d.url != "" {
		return postgres.Name(d.url)
	}
	return d.path
}

// GoString returns String: %#v must not print the password either.
func (d Database) GoString() string { return d.String() }

// LogValue returns String for logs.
func (d Database) LogValue() slog.Value { return slog.StringValue(d.String()) }

// Store is an open database.
type Store interface {
	ports.Store
	// NewerSchema returns the version of a schema that a newer release has upgraded, 0 otherwise.
	NewerSchema() int
	Close() error
}

// Open opens the database as a store. It creates the SQLite file, and applies pending migrations.
func (d Database) Open(ctx context.Context) (Store, error) {
	if d.url != "" {
		return postgres.Open(ctx, d.url)
	}
	return sqlite.Open(d.path)
}

// Maintenance is the database as the operator's tools use it.
type Maintenance interface {
	dbadmin.Backups
	dbadmin.Schema
	dbadmin.Inspector
}

// Maintenance returns the database for the operator's tools, and does not open it.
func (d Database) Maintenance() Maintenance {
	if d.url != "" {
		return postgres.NewDatabase(d.url)
	}
	return sqlite.NewFile(d.path)
}

// SecretFile returns the path of the key file, which holds the secret if KEYLODGE_SECRET is not set. It is next to the SQLite
// file. For PostgreSQL, SecretFile returns "".
func (d Database) SecretFile() string {
	if d.url != "" {
		return ""
	}
	return filepath.Join(filepath.Dir(d.path), masterKeyFile)
}

// IsMissing reports whether there is no database: no file or an empty one, or no table of this program on the server. It returns
// false if it cannot find out; Open then returns the error.
func (d Database) IsMissing(ctx context.Context) bool {
	if d.url != "" {
		empty, err := postgres.IsEmpty(ctx, d.url)
		return err == nil && empty
	}
	return d.isMissingFile()
}

// isMissingFile reports whether the SQLite file does not exist or is empty. An operator may create an empty file to set its mode.
func (d Database) isMissingFile() bool {
	info, err := os.Stat(d.path)
	return errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0
}
