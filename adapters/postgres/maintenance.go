package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports/dbadmin"
)

// Database is a database as a whole, for its upkeep: it is not opened for serving, and its schema is left as it is.
type Database struct{ url string }

var (
	_ dbadmin.Backups   = (*Database)(nil)
	_ dbadmin.Schema    = (*Database)(nil)
	_ dbadmin.Inspector = (*Database)(nil)
)

// NewDatabase names the database that the URL does, which need not be there.
func NewDatabase(databaseURL string) *Database { return &Database{databaseURL} }

// Save refuses: PostgreSQL's own tools are better at it, and know the server's version.
func (d *Database) Save(context.Context, string, bool, dbadmin.CheckOptions) (dbadmin.Inventory, error) {
	return dbadmin.Inventory{}, &domain.Error{
		Kind: domain.KindConflict, Code: "use_pg_dump",
		Message: "a database on a PostgreSQL server is saved with its own tools: pg_dump --format=custom --file=FILE URL; " +
			"it does not hold the secret: keep what KEYLODGE_SECRET says too, in another place",
	}
}

// PrepareRestore refuses, as Save does.
func (d *Database) PrepareRestore(context.Context, string) (dbadmin.PreparedRestore, error) {
	return nil, &domain.Error{
		Kind: domain.KindConflict, Code: "use_pg_restore",
		Message: "a database on a PostgreSQL server is restored with its own tools, while no server runs: " +
			"pg_restore --clean --if-exists --no-owner --single-transaction --dbname=URL FILE; KEYLODGE_SECRET has to be what it was then",
	}
}

func (d *Database) connect(ctx context.Context) (*pgx.Conn, *pgxpool.Config, error) {
	config, err := parse(d.url)
	if err != nil {
		return nil, nil, err
	}
	conn, err := pgx.ConnectConfig(ctx, withoutNamedStatements(config.ConnConfig))
	if err != nil {
		return nil, config, wrap("connecting", err)
	}
	return conn, config, nil
}

// verifySchema returns the version of the schema, 0 if there is none or every migration was taken back, or says why it is none
// of ours, or of none that this program may serve on.
func verifySchema(ctx context.Context, conn *pgx.Conn, newest int) (int, error) {
	version, dirty, err := versionOf(ctx, conn)
	switch {
	case stateOf(err) == undefinedColumn:
		return 0, errNotKeylodge("its schema_migrations is not as Keylodge writes it")
	case err != nil:
		return 0, wrap("looking for the schema", err)
	case dirty:
		return 0, errNotKeylodge(fmt.Sprintf("an upgrade to version %d was left half done", version))
	case version < 1:
		return 0, nil
	case version > newest:
		if err := requireCompatible(ctx, conn, version, newest); err != nil {
			return version, err
		}
	}
	var ours bool
	if err := conn.QueryRow(ctx, "SELECT to_regclass('users') IS NOT NULL AND to_regclass('passkeys') IS NOT NULL").Scan(&ours); err != nil {
		return 0, wrap("looking for the tables", err)
	}
	if !ours {
		return 0, errNotKeylodge("it has a schema_migrations, and no users and passkeys")
	}
	return version, nil
}

func errNotKeylodge(why string) error {
	return &domain.Error{
		Kind: domain.KindInvalid, Code: "not_a_keylodge_database",
		Message: "this is not a database of Keylodge, or not a sound one: " + why,
	}
}

func errNewerRelease(version, newest int) error {
	return &domain.Error{
		Kind: domain.KindConflict, Code: "newer_release",
		Message: fmt.Sprintf("its schema is version %d and this program knows up to %d: a newer release made it; start that one, "+
			"or take the schema back with that one's \"keylodge migrate down\", or restore a backup from before the upgrade", version, newest),
	}
}

func errInUse(who string) error {
	return &domain.Error{
		Kind: domain.KindConflict, Code: "database_in_use",
		Message: "somebody has the database open (" + who + "); stop the server, all of them if there are several, and whatever else holds the tables, then try again",
	}
}

// errBehindPooler is that of a step that needs to know whether servers are connected. A pooler keeps connections open without
// any, and hides to whom they belong.
var errBehindPooler = &domain.Error{
	Kind: domain.KindConflict, Code: "behind_pooler",
	Message: "a pooler such as PgBouncer is in front of the database, and hides which servers use it; stop them all, " +
		"and set KEYLODGE_DATABASE_URL to the PostgreSQL server itself for this command",
}

// errNotPostgres keeps from those that speak as PostgreSQL does, and commit each change of a schema by itself, what would
// then be half done, or done and not merely rehearsed.
func errNotPostgres(version string) error {
	return &domain.Error{
		Kind: domain.KindConflict, Code: "other_engine",
		Message: "this is done in one transaction, which " + version + " may not keep together; restore a backup from before the upgrade instead",
	}
}

// isPostgres goes by what the server says in version().
func isPostgres(version string) bool {
	return strings.HasPrefix(version, "PostgreSQL ") && !strings.Contains(version, "-YB-")
}

// closeConn adds the error of ending a connection, whatever the context has come to.
func closeConn(ctx context.Context, conn *pgx.Conn, err error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTimeout)
	defer cancel()
	return errors.Join(err, conn.Close(ctx))
}
