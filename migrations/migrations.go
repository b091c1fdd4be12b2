// Package migrations holds the schema of each engine, as golang-migrate reads it and as sqlc does: it has one source.
//
// The rule for migrations: a file that was released is never edited again; a change is a new pair of files under the
// next number. The engines' folders have the same numbers with the same meaning. An upgrade runs in one transaction, so it
// either happened or it did not; a statement that cannot run in a transaction has no place here. Servers of the release
// before serve on meanwhile and afterwards (a rolling upgrade), and may be started again, so a release only adds: tables,
// indexes, and columns that may be NULL or have a default. What is there keeps its name, its type and its meaning.
//
// What is not needed any more is taken away a release later, when the release before no longer reads or writes it. That
// locks out older ones, and so says whom, in the same file: the only row of schema_floor is the version of the schema that a
// program has to know, at least, to serve. Say the files up to 9 are of a release that reads a column no longer; then the one
// of the release after it that drops the column has
//
//	UPDATE schema_floor SET version = 9;
//
// and its down file sets back what was there. A file that only adds leaves schema_floor as it is.
//
// A down file undoes its up file and loses nothing that the version before has a place for: it is an installation's way
// back ("keylodge migrate down"), beside restoring a backup.
package migrations

import (
	"embed"
	"io/fs"
)

//go:embed sqlite/*.sql postgres/*.sql
var files embed.FS

// SQLite is the folder of SQLite's migrations.
func SQLite() fs.FS { return folder("sqlite") }

// Postgres is the folder of PostgreSQL's migrations.
func Postgres() fs.FS { return folder("postgres") }

func folder(name string) fs.FS {
	folder, err := fs.Sub(files, name)
	if err != nil {
		panic(err) // only for a name that is no path at all
	}
	return folder
}
