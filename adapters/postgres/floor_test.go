package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/golang-migrate/migrate/v4"
	"github.com/golang-migrate/migrate/v4/source/iofs"
	"github.com/jackc/pgx/v5"

	"github.com/keylodge/keylodge/acceptance/postgresserver"
)

// Whether the schema of a newer release may be served on is what that one says, in schema_floor.
const (
	setNewerVersion        = "UPDATE schema_migrations SET version = 9999"
	setIncompatibleVersion = setNewerVersion + "; UPDATE schema_floor SET version = 9999"
)

func TestUpgrade_SchemaFloor(t *testing.T) {
	known := []string{"CREATE TABLE a (n bigint)", "CREATE TABLE schema_floor (version bigint); INSERT INTO schema_floor VALUES (2)"}
	for name, c := range map[string]struct {
		brought []string // by the newer release
		after   string
		newer   int
		refused bool
	}{
		"that only adds":         {[]string{"ALTER TABLE a ADD COLUMN m bigint", "CREATE TABLE b (n bigint)"}, "", 4, false},
		"that locks nobody out":  {[]string{"UPDATE schema_floor SET version = 2"}, "", 3, false},
		"that locks this out":    {[]string{"ALTER TABLE a ADD COLUMN m bigint", "ALTER TABLE a DROP COLUMN n; UPDATE schema_floor SET version = 3"}, "", 0, true},
		"that forgets the floor": {[]string{"DELETE FROM schema_floor"}, "", 0, true},
		"that does not know it":  {[]string{"DROP TABLE schema_floor"}, "", 0, true},
		"that was left half way": {[]string{"ALTER TABLE a ADD COLUMN m bigint"}, "UPDATE schema_migrations SET dirty = true", 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			db := newDatabase(t)
			wantUpgrade(t, db, migrationFiles(append(known, c.brought...)...), "")
			if err := exec(t.Context(), db, c.after); err != nil {
				t.Fatal(err)
			}
			before := contentsOf(t, db)
			newer, err := upgrade(t.Context(), db.Config(), migrationFiles(known...))
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
	url := postgresserver.EmptyDatabase(t)
	if s := openAt(t, url); s.NewerSchema() != 0 {
		t.Errorf("a schema of this release is taken for %d", s.NewerSchema())
	}
	if err := exec(t.Context(), connect(t, url), setNewerVersion); err != nil {
		t.Fatal(err)
	}
	s := openAt(t, url)
	if s.NewerSchema() != 9999 {
		t.Errorf("a schema of the next release is taken for %d", s.NewerSchema())
	}
	add(t, s, 1)
	wantChallenges(t, s, 1)
	d := NewDatabase(url)
	status, err := d.Status(t.Context())
	if last := status[len(status)-1]; err != nil || len(status) != 2 || !last.Newer || !last.Applied || last.Version != 9999 {
		t.Errorf("%+v, %v", status, err)
	}
	if applied, err := d.Up(t.Context()); err != nil || len(applied) != 0 {
		t.Errorf("Up: %+v, %v", applied, err)
	}
	_, rehearsedErr := d.DryRunDown(t.Context())
	_, downErr := d.Down(t.Context())
	for _, err := range []error{rehearsedErr, downErr} {
		wantDomainError(t, err, "newer_release", "with that one's")
	}
}

// The rule of migrations.go: whoever takes something away says so, and never locks out the release before.
func TestMigrations_RaiseSchemaFloor(t *testing.T) {
	db := newDatabase(t)
	if faults := floorViolations(t, db, schemaFiles); len(faults) > 0 {
		t.Error(faults)
	}
	known := []string{"CREATE TABLE a (n bigint, m bigint)", "CREATE TABLE schema_floor (version bigint); INSERT INTO schema_floor VALUES (2)", "CREATE TABLE b (n bigint)"}
	for step, sound := range map[string]bool{
		"CREATE TABLE c (n bigint NOT NULL)":                                true,
		"ALTER TABLE a ADD COLUMN k bigint":                                 true,
		"ALTER TABLE a ADD COLUMN k bigint NOT NULL DEFAULT 0":              true,
		"ALTER TABLE a ADD COLUMN k bigint NOT NULL":                        false,
		"ALTER TABLE a DROP COLUMN m":                                       false,
		"ALTER TABLE a ALTER COLUMN m TYPE text":                            false,
		"ALTER TABLE a ALTER COLUMN m SET NOT NULL":                         false,
		"ALTER TABLE a RENAME COLUMN m TO k":                                false,
		"ALTER TABLE a ADD CHECK (m > 0)":                                   false,
		"CREATE UNIQUE INDEX one ON a (m)":                                  false,
		"CREATE INDEX many ON a (m)":                                        true,
		"DROP TABLE b":                                                      false,
		"DROP TABLE b; UPDATE schema_floor SET version = 3":                 true,
		"DROP TABLE b; UPDATE schema_floor SET version = 4":                 false,
		"ALTER TABLE a DROP COLUMN m; UPDATE schema_floor SET version = 99": false,
	} {
		db := newDatabase(t)
		if faults := floorViolations(t, db, migrationFiles(append(known, step)...)); (len(faults) == 0) != sound {
			t.Errorf("%s: %v", step, faults)
		}
	}
}

// floorViolations goes through the migrations one by one, in an empty database.
func floorViolations(t *testing.T, db *pgx.Conn, files fs.FS) (faults []string) {
	t.Helper()
	steps, err := iofs.New(files, ".")
	if err != nil {
		t.Fatal(err)
	}
	driver, err := connectDriver(context.Background(), db.Config(), 9999)
	if err != nil {
		t.Fatal(err)
	}
	m, err := migrate.NewWithInstance("iofs", steps, "postgres", driver)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for {
		before, floor := readSchemaShape(t, db), floorOf(t, db)
		if err := m.Steps(1); errors.Is(err, fs.ErrNotExist) {
			return faults
		} else if err != nil {
			t.Fatal(err)
		}
		version, _, err := versionOf(t.Context(), db)
		if err != nil {
			t.Fatal(err)
		}
		broken, raised := before.incompatibilities(readSchemaShape(t, db)), floorOf(t, db)
		switch {
		case floor == 0 && raised <= version: // nobody had looked at it before
		case len(broken) > 0 && raised <= floor:
			faults = append(faults, fmt.Sprintf("migration %d takes from older releases what they live by (%s) and leaves schema_floor at %d", version, broken, floor))
		case raised >= version:
			faults = append(faults, fmt.Sprintf("migration %d locks the release before out: schema_floor is %d", version, raised))
		}
	}
}

// floorOf is 0 before there is one.
func floorOf(t *testing.T, db *pgx.Conn) int {
	t.Helper()
	var found bool
	if err := db.QueryRow(t.Context(), "SELECT to_regclass('schema_floor') IS NOT NULL", pgx.QueryExecModeExec).Scan(&found); err != nil || !found {
		return 0
	}
	floor, err := strconv.Atoi(queryColumn(t, db, "SELECT version::text FROM schema_floor")[0])
	if err != nil {
		t.Fatal(err)
	}
	return floor
}

// schemaShape is what programs live by, in lines: the columns with their types, and what rows have to be like.
type schemaShape map[string]shapePart

type shapePart struct {
	columns           []string // as table.column
	mustRemain        bool     // somebody may need it to stay
	constrainsWriters bool     // somebody has to heed it
}

func readSchemaShape(t *testing.T, db *pgx.Conn) schemaShape {
	t.Helper()
	rows, err := db.Query(t.Context(), `
		SELECT concat_ws(' ', table_name, column_name, data_type, 'NULL: ' || is_nullable), ARRAY[table_name || '.' || column_name]::text[],
			true, is_nullable = 'NO' AND column_default IS NULL
		FROM information_schema.columns WHERE table_schema = 'public' AND table_name NOT LIKE 'schema%'
		UNION ALL
		SELECT concat_ws(' ', 'unique', indrelid::regclass, indkey), columns, true, true FROM pg_index, LATERAL (
			SELECT array_agg(indrelid::regclass || '.' || attname) FROM pg_attribute WHERE attrelid = indrelid AND attnum = ANY (indkey)) AS c (columns)
		WHERE indisunique AND indrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relname NOT LIKE 'schema%')
		UNION ALL
		SELECT concat_ws(' ', 'constraint', contype, conrelid::regclass, conkey), columns, false, true FROM pg_constraint, LATERAL (
			SELECT array_agg(conrelid::regclass || '.' || attname) FROM pg_attribute WHERE attrelid = conrelid AND attnum = ANY (conkey)) AS c (columns)
		WHERE contype IN ('c', 'f') AND connamespace = 'public'::regnamespace AND conrelid::regclass::text NOT LIKE 'schema%'`, pgx.QueryExecModeExec)
	if err != nil {
		t.Fatal(err)
	}
	found := schemaShape{}
	var line string
	var p shapePart
	if _, err := pgx.ForEachRow(rows, []any{&line, &p.columns, &p.mustRemain, &p.constrainsWriters}, func() error {
		found[line] = p
		p.columns = nil
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return found
}

// incompatibilities lists what is gone, and what is demanded of those who do not know of it. What a new table or column demands
// of itself is no matter of theirs, unless a row cannot be without it.
func (before schemaShape) incompatibilities(after schemaShape) (broken []string) {
	tables, columns := map[string]bool{}, map[string]bool{}
	for line, p := range before {
		for _, column := range p.columns {
			table, _, _ := strings.Cut(column, ".")
			tables[table], columns[column] = true, true
		}
		if _, found := after[line]; !found && p.mustRemain {
			broken = append(broken, line)
		}
	}
	for line, p := range after {
		if _, found := before[line]; found || !p.constrainsWriters {
			continue
		}
		for _, column := range p.columns {
			table, _, _ := strings.Cut(column, ".")
			if columns[column] || tables[table] && !strings.HasPrefix(line, "unique ") && !strings.HasPrefix(line, "constraint ") {
				broken = append(broken, line)
				break
			}
		}
	}
	slices.Sort(broken)
	return broken
}
