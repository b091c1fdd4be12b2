package cluster

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// nextVersion returns the number of the next release's migration.
func nextVersion() (int, error) {
	files, err := filepath.Glob("../../migrations/postgres/*.up.sql")
	if err != nil || len(files) == 0 {
		return 0, fmt.Errorf("no migrations: %w", err)
	}
	number, _, _ := strings.Cut(filepath.Base(files[len(files)-1]), "_")
	newest, err := strconv.Atoi(number)
	return newest + 1, err
}

// The migration of the next release. It only adds: while this release still runs, existing columns and tables must keep their
// names, types and meanings.
const (
	upMigration = `
		ALTER TABLE users ADD COLUMN title text;
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
	title = "Countess " // the next release stores it for each user who signs up
)

var buildNextRelease = sync.OnceValues(func() (string, error) {
	next, err := nextVersion()
	if err != nil {
		return "", err
	}
	const users = "db/postgresdb/users.sql.go"
	file := fmt.Sprintf("migrations/postgres/%04d_titles", next)
	writes := sequence(
		replacing(" display_name, disabled_at, created_at\n) VALUES ($1,", " display_name, disabled_at, created_at, title\n) VALUES ($1,"),
		replacing("$10, $11)\nON CONFLICT (email)", "$10, $11, '"+title+"')\nON CONFLICT (email)"),
	)
	reads := replacing("display_name, disabled_at, created_at FROM users WHERE id = $1",
		"COALESCE(title, '') || display_name AS display_name, disabled_at, created_at FROM users WHERE id = $1")
	return build("next", edits{
		file + ".up.sql":   newFile(upMigration),
		file + ".down.sql": newFile(downMigration),
		users:              sequence(writes, reads),
		"bootstrap/main.go": replacing("func version() string {\n",
			"func version() string {\n\tif true {\n\t\treturn \"the next release\"\n\t}\n"),
	})
})

// nextRelease builds, once, a program with one more migration, which writes and reads the column that the migration adds.
func nextRelease(t *testing.T) string {
	t.Helper()
	path, err := buildNextRelease()
	if err != nil {
		t.Fatal(err)
	}
	return path
}
