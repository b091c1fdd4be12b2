package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports/dbadmin"
)

// Database is a whole database, for maintenance. It does not upgrade the schema.
type Database struct {
	url               string
	disconnectTimeout time.Duration // how long Down waits for servers that are stopping
}

var (
	_ dbadmin.Backups   = (*Database)(nil)
	_ dbadmin.Schema    = (*Database)(nil)
	_ dbadmin.Inspector = (*Database)(nil)
)

// NewDatabase returns the database of the URL, which need not exist.
func NewDatabase(databaseURL string) *Database {
	return &Database{url: databaseURL, disconnectTimeout: 5 * time.Second}
}

// Save always returns an error that names pg_dump: PostgreSQL's own tools know the server's version.
func (d *Database) Save(context.Context, string, bool, dbadmin.CheckOptions) (dbadmin.Inventory, error) {
	return dbadmin.Inventory{}, &domain.Error{
		Kind: domain.KindConflict, Code: "use_pg_dump",
		Message: "a PostgreSQL database is saved with PostgreSQL's own tools: pg_dump --format=custom --file=FILE URL; " +
			"the backup does not contain KEYLODGE_SECRET: keep the secret in another place",
	}
}

// PrepareRestore always returns an error that names pg_restore.
func (d *Database) PrepareRestore(context.Context, string) (dbadmin.PreparedRestore, error) {
	return nil, &domain.Error{
		Kind: domain.KindConflict, Code: "use_pg_restore",
		Message: "a PostgreSQL database is restored with PostgreSQL's own tools, while no server runs: " +
			"pg_restore --clean --if-exists --no-owner --single-transaction --dbname=URL FILE; KEYLODGE_SECRET must be the one of the backup",
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

// verifySchema returns the version of the schema. It returns 0 if there is none or if all migrations were reverted, and an error if
// the schema is not one of Keylodge's or not compatible with this program.
func verifySchema(ctx context.Context, conn *pgx.Conn, newest int) (int, error) {
	version, dirty, err := ownVersion(ctx, conn)
	switch {
	case err != nil:
		return 0, err
	case dirty:
		return 0, errNotKeylodge(fmt.Sprintf("an upgrade to version %d is incomplete", version))
	case version > newest:
		if err := requireCompatible(ctx, conn, version, newest); err != nil {
			return version, err
		}
	}
	return max(version, 0), nil
}

// ownVersion is versionOf, but returns an error if the tables are another program's. The first schema of the search_path may have
// other tables, but none with the name of one of Keylodge's before Keylodge has created it.
func ownVersion(ctx context.Context, conn *pgx.Conn) (version int, dirty bool, err error) {
	version, dirty, err = readVersion(ctx, conn)
	if err != nil {
		return 0, false, err
	}
	if version < 1 {
		existing, err := existingTables(ctx, conn)
		if err != nil {
			return 0, false, wrap("listing the tables", err)
		}
		if len(existing) == 0 {
			return version, dirty, nil
		}
		// Another server may have created them since the version was read.
		if version, dirty, err = readVersion(ctx, conn); err != nil {
			return 0, false, err
		}
		if version < 1 {
			return 0, false, errNotKeylodge("it has a table " + existing[0] + ", which Keylodge did not create; create a database for Keylodge, " +
				"and set KEYLODGE_DATABASE_URL to it")
		}
	}
	if dirty {
		return version, dirty, nil
	}
	var found bool
	if err := conn.QueryRow(ctx, "SELECT to_regclass('users') IS NOT NULL AND to_regclass('passkeys') IS NOT NULL").Scan(&found); err != nil {
		return 0, false, wrap("looking up the tables", err)
	}
	if !found {
		return 0, false, errNotKeylodge("it has a table schema_migrations, but no tables users and passkeys")
	}
	return version, dirty, nil
}

// readVersion is versionOf with errors for the operator.
func readVersion(ctx context.Context, conn *pgx.Conn) (version int, dirty bool, err error) {
	version, dirty, err = versionOf(ctx, conn)
	switch {
	case stateOf(err) == undefinedColumn:
		return 0, false, errNotKeylodge("its table schema_migrations has other columns")
	case err != nil:
		return 0, false, wrap("reading the schema's version", err)
	}
	return version, dirty, nil
}

var createTable = regexp.MustCompile(`(?m)^CREATE TABLE (\w+)`)

// existingTables returns which names of tables that the migrations create are in use in the first schema of the search_path.
func existingTables(ctx context.Context, conn *pgx.Conn) ([]string, error) {
	files, err := fs.Glob(SchemaFiles, "*.up.sql")
	if err != nil {
		return nil, err
	}
	var names []string
	for _, file := range files {
		migration, err := fs.ReadFile(SchemaFiles, file)
		if err != nil {
			return nil, err
		}
		for _, match := range createTable.FindAllSubmatch(migration, -1) {
			names = append(names, string(match[1]))
		}
	}
	rows, err := conn.Query(ctx, `SELECT c.relname::text FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
		WHERE n.nspname = current_schema() AND c.relname = ANY ($1::text[]) ORDER BY c.relname`, names)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

func errNotKeylodge(reason string) error {
	return &domain.Error{
		Kind: domain.KindInvalid, Code: "not_a_keylodge_database",
		Message: "this is not a Keylodge database, or it is damaged: " + reason,
	}
}

func errInUse(connections string) error {
	return &domain.Error{
		Kind: domain.KindConflict, Code: "database_in_use",
		Message: "the database is in use (" + connections + "); stop all servers and every other program that uses the tables, then try again",
	}
}

// errBehindPooler is returned by a command that must know whether servers are connected. A pooler keeps connections open without
// clients and hides which client uses one.
var errBehindPooler = &domain.Error{
	Kind: domain.KindConflict, Code: "behind_pooler",
	Message: "a pooler such as PgBouncer is in front of the database, and hides which servers use it; stop all servers, " +
		"and set KEYLODGE_DATABASE_URL to the PostgreSQL server itself for this command",
}

// errNotPostgres rejects a database that speaks PostgreSQL's protocol but may commit each schema change by itself: a failed command
// would be half done, and a dry run would change the schema.
func errNotPostgres(version string) error {
	return &domain.Error{
		Kind: domain.KindConflict, Code: "other_engine",
		Message: "this needs one transaction for all schema changes, which " + version + " may not support; restore a backup from before the upgrade instead",
	}
}

// isPostgres reports whether the result of version() is that of PostgreSQL itself.
func isPostgres(version string) bool {
	return strings.HasPrefix(version, "PostgreSQL ") && !strings.Contains(version, "-YB-")
}

// closeConn closes the connection even if the context has ended, and adds the error of closing to err.
func closeConn(ctx context.Context, conn *pgx.Conn, err error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTimeout)
	defer cancel()
	return errors.Join(err, conn.Close(ctx))
}
