package sqlite

import (
	"database/sql"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/ports/dbadmin"
)

// Whether the schema of a newer release may be served on is what that one says, in schema_floor.
const (
	setNewerVersion        = "UPDATE schema_migrations SET version = 9999"
	setIncompatibleVersion = setNewerVersion + "; UPDATE schema_floor SET version = 9999"
)

func TestUpgrade_SchemaFloor(t *testing.T) {
	known := []string{"CREATE TABLE a (n INTEGER)", "CREATE TABLE schema_floor (version INTEGER); INSERT INTO schema_floor VALUES (2)"}
	for name, c := range map[string]struct {
		brought []string // by the newer release
		after   string
		newer   int
		refused bool
	}{
		"that only adds":         {[]string{"ALTER TABLE a ADD COLUMN m INTEGER", "CREATE TABLE b (n INTEGER)"}, "", 4, false},
		"that locks nobody out":  {[]string{"UPDATE schema_floor SET version = 2"}, "", 3, false},
		"that locks this out":    {[]string{"ALTER TABLE a ADD COLUMN m INTEGER", "ALTER TABLE a DROP COLUMN n; UPDATE schema_floor SET version = 3"}, "", 0, true},
		"that forgets the floor": {[]string{"DELETE FROM schema_floor"}, "", 0, true},
		"that does not know it":  {[]string{"DROP TABLE schema_floor"}, "", 0, true},
		"that was left half way": {[]string{"ALTER TABLE a ADD COLUMN m INTEGER"}, "UPDATE schema_migrations SET dirty = 1", 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			db := newDatabase(t)
			wantUpgrade(t, db, migrationFiles(append(known, c.brought...)...), "")
			if _, err := db.Exec(c.after); err != nil {
				t.Fatal(err)
			}
			before := contentsOf(t, db)
			newer, err := upgrade(db, migrationFiles(known...))
			if newer != c.newer || (err != nil) != c.refused || err != nil && !strings.Contains(err.Error(), "a newer release made it; start that one") {
				t.Errorf("it is served on as %d, %v", newer, err)
			}
			if after := contentsOf(t, db); after != before {
				t.Errorf("it was changed to:\n%s\nfrom:\n%s", after, before)
			}
		})
	}
}

func TestStore_NewerCompatibleSchema(t *testing.T) {
	path := newFilledFile(t)
	if s := openAt(t, path); s.NewerSchema() != 0 {
		t.Errorf("a schema of this release is taken for %d", s.NewerSchema())
	}
	execSQL(t, path, setNewerVersion+"; ALTER TABLE users ADD COLUMN title TEXT")
	s := openAt(t, path)
	if s.NewerSchema() != 9999 {
		t.Errorf("a schema of the next release is taken for %d", s.NewerSchema())
	}
	f := NewFile(path)
	status, err := f.Status(t.Context())
	if last := status[len(status)-1]; err != nil || len(status) != 2 || !last.Newer || !last.Applied || last.Version != 9999 {
		t.Errorf("%+v, %v", status, err)
	}
	if applied, err := f.Up(t.Context()); err != nil || len(applied) != 0 {
		t.Errorf("Up: %+v, %v", applied, err)
	}
	file := filepath.Join(t.TempDir(), "backup")
	if saved, err := f.Save(t.Context(), file, false, dbadmin.CheckOptions{Full: true}); err != nil || saved.Schema != 9999 {
		t.Errorf("Save: %+v, %v", saved, err)
	}
	r, err := f.PrepareRestore(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Discard(); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = f.DryRunDown(t.Context())
	wantCode(t, err, "newer_release")
	_, err = f.Down(t.Context())
	wantCode(t, err, "newer_release")
	execSQL(t, path, "ALTER TABLE users DROP COLUMN display_name")
	_, err = f.Status(t.Context())
	wantCode(t, err, "not_a_keylodge_database")
}

// The rule of migrations.go, as far as columns tell; the adapter of PostgreSQL looks closer at the same migrations.
func TestMigrations_RaiseSchemaFloor(t *testing.T) {
	known, err := allMigrations()
	if err != nil {
		t.Fatal(err)
	}
	var before []string
	floor := 0
	for _, m := range known {
		model, err := newReferenceDB(m.Version)
		if err != nil {
			t.Fatal(err)
		}
		after, raised := schemaShape(t, model), floorOf(t, model)
		if broken := incompatibilities(before, after); floor > 0 && len(broken) > 0 && raised <= floor {
			t.Errorf("migration %d takes from older releases what they live by (%s) and leaves schema_floor at %d", m.Version, broken, floor)
		}
		if raised > m.Version || floor > 0 && raised == m.Version {
			t.Errorf("migration %d locks the release before out: schema_floor is %d", m.Version, raised)
		}
		before, floor = after, raised
		if err := model.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if floor == 0 {
		t.Error("there is no schema_floor")
	}
}

func TestIncompatibilities(t *testing.T) {
	for step, sound := range map[string]bool{
		"CREATE TABLE b (n INTEGER NOT NULL)":                   true,
		"ALTER TABLE a ADD COLUMN k INTEGER":                    true,
		"ALTER TABLE a ADD COLUMN k INTEGER NOT NULL DEFAULT 0": true,
		"ALTER TABLE a ADD COLUMN k INTEGER NOT NULL":           false,
		"ALTER TABLE a DROP COLUMN m":                           false,
		"ALTER TABLE a RENAME COLUMN m TO k":                    false,
		"DROP TABLE a; CREATE TABLE a (n INTEGER, m TEXT)":      false,
		"DROP TABLE a": false,
	} {
		db := newDatabase(t)
		wantUpgrade(t, db, migrationFiles("CREATE TABLE a (n INTEGER, m INTEGER)"), "")
		before := schemaShape(t, db)
		if _, err := db.Exec(step); err != nil {
			t.Fatal(err)
		}
		if broken := incompatibilities(before, schemaShape(t, db)); (len(broken) == 0) != sound {
			t.Errorf("%s: %v", step, broken)
		}
	}
}

// schemaShape lists the columns of all tables with their types. Those that a row cannot be without end with an exclamation mark.
func schemaShape(t *testing.T, db *sql.DB) []string {
	t.Helper()
	return queryColumn(t, db, `SELECT t.name || '.' || c.name || ' ' || c.type || iif(c."notnull" AND c.dflt_value IS NULL, ' !', '')
		FROM sqlite_schema AS t, pragma_table_info(t.name) AS c WHERE t.type = 'table' AND t.name NOT LIKE 'schema%' ORDER BY 1`)
}

func incompatibilities(before, after []string) (broken []string) {
	for _, column := range before {
		if !slices.Contains(after, column) {
			broken = append(broken, column)
		}
	}
	for _, column := range after {
		table, _, _ := strings.Cut(column, ".")
		old := slices.ContainsFunc(before, func(b string) bool { return strings.HasPrefix(b, table+".") })
		if old && strings.HasSuffix(column, " !") && !slices.Contains(before, column) {
			broken = append(broken, column)
		}
	}
	return broken
}

// floorOf is 0 before there is one.
func floorOf(t *testing.T, db *sql.DB) (floor int) {
	t.Helper()
	if len(queryColumn(t, db, "SELECT name FROM sqlite_schema WHERE name = 'schema_floor'")) == 0 {
		return 0
	}
	if err := db.QueryRow("SELECT version FROM schema_floor").Scan(&floor); err != nil {
		t.Fatal(err)
	}
	return floor
}
