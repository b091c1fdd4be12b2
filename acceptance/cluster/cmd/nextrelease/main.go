// Command nextrelease is this release with one more migration. The migration adds a column whose default value is the setting
// keylodge.title of the connection, which only this program sets: it writes the column, and this release does not.
package main

import (
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"testing/fstest"

	"github.com/keylodge/keylodge/adapters/postgres"
	"github.com/keylodge/keylodge/bootstrap"
)

// The migration only adds: while this release still runs, existing columns and tables must keep their names, types and meanings.
const (
	upMigration = `
		ALTER TABLE users ADD COLUMN title text;
		ALTER TABLE users ALTER COLUMN title SET DEFAULT current_setting('keylodge.title', true);
		ALTER TABLE sessions ADD COLUMN journeys bigint NOT NULL DEFAULT 0;
		ALTER TABLE webauthn_challenges ADD COLUMN remark text;
		CREATE TABLE badges (user_id uuid NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE);
		CREATE INDEX users_title_idx ON users (title ASC);`
	downMigration = `
		DROP INDEX users_title_idx;
		DROP TABLE badges;
		ALTER TABLE webauthn_challenges DROP COLUMN remark;
		ALTER TABLE sessions DROP COLUMN journeys;
		ALTER TABLE users DROP COLUMN title;`
)

func main() {
	files, err := withNextMigration(postgres.SchemaFiles)
	if err == nil {
		err = os.Setenv("PGOPTIONS", "-c keylodge.title=Countess")
	}
	if err != nil {
		panic(err)
	}
	postgres.SchemaFiles = files
	os.Exit(bootstrap.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// withNextMigration returns the migrations of this release and the next one, named titles.
func withNextMigration(released fs.FS) (fs.FS, error) {
	names, err := fs.Glob(released, "*.sql")
	if err != nil {
		return nil, err
	}
	all, newest := fstest.MapFS{}, 0
	for _, name := range names {
		text, err := fs.ReadFile(released, name)
		if err != nil {
			return nil, err
		}
		all[name] = &fstest.MapFile{Data: text}
		number, _, _ := strings.Cut(name, "_")
		if newest, err = strconv.Atoi(number); err != nil {
			return nil, err
		}
	}
	name := fmt.Sprintf("%04d_titles", newest+1)
	all[name+".up.sql"] = &fstest.MapFile{Data: []byte(upMigration)}
	all[name+".down.sql"] = &fstest.MapFile{Data: []byte(downMigration)}
	return all, nil
}
