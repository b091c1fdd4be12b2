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

// Database is where everything is kept: a file of SQLite's, or a database on a PostgreSQL server. It prints without the
// password.
type Database struct {
	path string // of the file; "" where a server keeps it
	url  string // of the server's database; "" where a file is it
}

// SQLite is a file. What is not there is made.
func SQLite(path string) Database { return Database{path: path} }

// Postgres is a database on a server, by its connection URI.
func Postgres(url string) Database { return Database{url: url} }

// IsServer reports whether a PostgreSQL server keeps the database.
func (d Database) IsServer() bool { return d.url != "" }

func (d Database) String() string {
	if d.url != "" {
		return postgres.Name(d.url)
	}
	return d.path
}

func (d Database) GoString() string { return d.String() }

func (d Database) LogValue() slog.Value { return slog.StringValue(d.String()) }

// Store is what both adapters open.
type Store interface {
	ports.Store
	NewerSchema() int
	Close() error
}

func (d Database) Open(ctx context.Context) (Store, error) {
	if d.url != "" {
		return postgres.Open(ctx, d.url)
	}
	return sqlite.Open(d.path)
}

// Maintenance is the database as one thing, for its upkeep.
type Maintenance interface {
	dbadmin.Backups
	dbadmin.Schema
	dbadmin.Inspector
}

func (d Database) Maintenance() Maintenance {
	if d.url != "" {
		return postgres.NewDatabase(d.url)
	}
	return sqlite.NewFile(d.path)
}

// SecretFile is where a secret is made that no setting gives; "" where a server keeps the database, which has no folder.
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
	_, err := os.Stat(d.path)
	return errors.Is(err, fs.ErrNotExist) || err == nil && !d.nonEmpty()
}

// nonEmpty is false for an empty file, which somebody may have put there to be filled.
func (d Database) nonEmpty() bool {
	info, err := os.Stat(d.path)
	return err == nil && info.Size() > 0
}
