package sqlite

import (
	"database/sql"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/adapters/sqlstore"
	"github.com/keylodge/keylodge/ports/dbadmin"
)

// A newer release states in schema_floor which releases can run on its schema.
const (
	setNewerVersion        = "UPDATE schema_migrations SET version = 9999"
	setIncompatibleVersion = setNewerVersion + "; UPDATE schema_floor SET version = 9999"
)

func TestUpgrade_SchemaFloor(t *testing.T) {
	known := []string{"CREATE TABLE a (n INTEGER)", "CREATE TABLE schema_floor (version INTEGER); INSERT INTO schema_floor VALUES (2)"}
	for name, c := range map[string]struct {
		added   []string // migrations of the newer release
		after   string   // statements after them
		newer   int
		wantErr bool
	}{
		"only additions":                   {[]string{"ALTER TABLE a ADD COLUMN m INTEGER", "CREATE TABLE b (n INTEGER)"}, "", 4, false},
		"the floor stays":                  {[]string{"UPDATE schema_floor SET version = 2"}, "", 3, false},
		"the floor excludes this release":  {[]string{"ALTER TABLE a ADD COLUMN m INTEGER", "ALTER TABLE a DROP COLUMN n; UPDATE schema_floor SET version = 3"}, "", 0, true},
		"no row in the table of the floor": {[]string{"DELETE FROM schema_floor"}, "", 0, true},
		"no table of the floor":            {[]string{"DROP TABLE schema_floor"}, "", 0, true},
		"an incomplete upgrade":            {[]string{"ALTER TABLE a ADD COLUMN m INTEGER"}, "UPDATE schema_migrations SET dirty = 1", 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			db := newDatabase(t)
			wantUpgrade(t, db, migrationFiles(append(known, c.added...)...), "")
			if _, err := db.Exec(c.after); err != nil {
				t.Fatal(err)
			}
			before := contentsOf(t, db)
			newer, err := upgrade(db, migrationFiles(known...))
			if newer != c.newer || (err != nil) != c.wantErr || err != nil && !strings.Contains(err.Error(), "start the newer release") {
				t.Errorf("upgrade: newer version %d, error %v", newer, err)
			}
			if after := contentsOf(t, db); after != before {
				t.Errorf("the database is now:\n%s\nand was:\n%s", after, before)
			}
		})
	}
}

func TestStore_NewerCompatibleSchema(t *testing.T) {
	path := newFilledFile(t)
	if s := openAt(t, path); s.NewerSchema() != 0 {
		t.Errorf("newer version on a schema of this release: %d", s.NewerSchema())
	}
	execSQL(t, path, setNewerVersion+"; ALTER TABLE users ADD COLUMN title TEXT")
	s := openAt(t, path)
	if s.NewerSchema() != 9999 {
		t.Errorf("newer version on a schema of the next release: %d", s.NewerSchema())
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

// The rule of migrations.go, checked by the columns only. The tests of the adapter postgres also check the constraints.
func TestMigrations_RaiseSchemaFloor(t *testing.T) {
	known, err := sqlstore.Migrations(SchemaFiles)
	if err != nil {
		t.Fatal(err)
	}
	var before []string
	floor := 0
	for _, m := range known {
		reference, err := newReferenceDB(m.Version)
		if err != nil {
			t.Fatal(err)
		}
		after, raised := schemaShape(t, reference), floorOf(t, reference)
		if broken := incompatibilities(before, after); floor > 0 && len(broken) > 0 && raised <= floor {
			t.Errorf("migration %d removes what older releases need (%s) and leaves schema_floor at %d", m.Version, broken, floor)
		}
		if raised > m.Version || floor > 0 && raised == m.Version {
			t.Errorf("migration %d excludes the previous release: schema_floor is %d", m.Version, raised)
		}
		before, floor = after, raised
		if err := reference.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if floor == 0 {
		t.Error("there is no schema_floor")
	}
}

func TestIncompatibilities(t *testing.T) {
	for step, compatible := range map[string]bool{
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
		if broken := incompatibilities(before, schemaShape(t, db)); (len(broken) == 0) != compatible {
			t.Errorf("%s: %v", step, broken)
		}
	}
}

// schemaShape lists the columns of all tables with their types. A required column without a default ends with an exclamation mark.
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

// floorOf returns the schema's floor, or 0 without one.
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
