// Package migrations contains the schema of each engine. golang-migrate and sqlc read the same files. A migration has the same number
// and purpose in both folders.
//
// Rules for a change after the first release:
//   - A released file is never edited. A change is a new pair of files with the next number.
//   - An upgrade runs in one transaction, so no statement may require to run outside of one.
//   - During a rolling upgrade, servers of the previous release run on the new schema, and may start on it. So a release only adds
//     tables, indexes, and columns that may be NULL or have a default. Existing tables and columns keep their names, types and
//     meanings.
//   - What a release no longer reads or writes is dropped in the release after it. Earlier releases cannot run on that schema. The
//     only row of schema_floor is the lowest version that a program must know to run on the schema, so the same file sets it.
//   - A down file undoes its up file, and keeps all data that the previous schema can store: "keylodge migrate down" is an
//     alternative to restoring a backup.
//
// An example for schema_floor: the first release that no longer reads a column knows migrations up to 9. The migration of the next
// release that drops the column contains
//
//	UPDATE schema_floor SET version = 9;
//
// and its down file restores the previous value. A migration that only adds does not change schema_floor.
package migrations

import (
	"embed"
	"io/fs"
)

//go:embed sqlite/*.sql postgres/*.sql
var files embed.FS

// SQLite returns the migrations of SQLite.
func SQLite() fs.FS { return folder("sqlite") }

// Postgres returns the migrations of PostgreSQL.
func Postgres() fs.FS { return folder("postgres") }

func folder(name string) fs.FS {
	folder, err := fs.Sub(files, name)
	if err != nil {
		panic(err) // the name is not a valid path
	}
	return folder
}
