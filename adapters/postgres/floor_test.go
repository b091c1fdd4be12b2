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

	"github.com/keylodge/keylodge/acceptance/testkit/postgresserver"
)

// A newer release states in schema_floor which releases can run on its schema.
const (
	setNewerVersion        = "UPDATE schema_migrations SET version = 9999"
	setIncompatibleVersion = setNewerVersion + "; UPDATE schema_floor SET version = 9999"
)

func TestUpgrade_SchemaFloor(t *testing.T) {
	known := []string{"CREATE TABLE a (n bigint)", "CREATE TABLE schema_floor (version bigint); INSERT INTO schema_floor VALUES (2)"}
	for name, c := range map[string]struct {
		added   []string // migrations of the newer release
		after   string   // statements after them
		newer   int
		wantErr bool
	}{
		"only additions":                   {[]string{"ALTER TABLE a ADD COLUMN m bigint", "CREATE TABLE b (n bigint)"}, "", 4, false},
		"the floor stays":                  {[]string{"UPDATE schema_floor SET version = 2"}, "", 3, false},
		"the floor excludes this release":  {[]string{"ALTER TABLE a ADD COLUMN m bigint", "ALTER TABLE a DROP COLUMN n; UPDATE schema_floor SET version = 3"}, "", 0, true},
		"no row in the table of the floor": {[]string{"DELETE FROM schema_floor"}, "", 0, true},
		"no table of the floor":            {[]string{"DROP TABLE schema_floor"}, "", 0, true},
		"an incomplete upgrade":            {[]string{"ALTER TABLE a ADD COLUMN m bigint"}, "UPDATE schema_migrations SET dirty = true", 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			db := newDatabase(t)
			wantUpgrade(t, db, migrationFiles(append(known, c.added...)...), "")
			if err := exec(t.Context(), db, c.after); err != nil {
				t.Fatal(err)
			}
			before := contentsOf(t, db)
			newer, err := upgrade(t.Context(), db.Config(), migrationFiles(known...))
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
	url := postgresserver.EmptyDatabase(t)
	if s := openAt(t, url); s.NewerSchema() != 0 {
		t.Errorf("newer version on a schema of this release: %d", s.NewerSchema())
	}
	if err := exec(t.Context(), connect(t, url), setNewerVersion); err != nil {
		t.Fatal(err)
	}
	s := openAt(t, url)
	if s.NewerSchema() != 9999 {
		t.Errorf("newer version on a schema of the next release: %d", s.NewerSchema())
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
	_, dryRunErr := d.DryRunDown(t.Context())
	_, downErr := d.Down(t.Context())
	for _, err := range []error{dryRunErr, downErr} {
		wantDomainError(t, err, "newer_release", "with the newer release's")
	}
}

// The rule of migrations.go: a migration that removes something raises the floor, and never excludes the previous release.
func TestMigrations_RaiseSchemaFloor(t *testing.T) {
	db := newDatabase(t)
	if violations := floorViolations(t, db, SchemaFiles); len(violations) > 0 {
		t.Error(violations)
	}
	known := []string{"CREATE TABLE a (n bigint, m bigint)", "CREATE TABLE schema_floor (version bigint); INSERT INTO schema_floor VALUES (2)", "CREATE TABLE b (n bigint)"}
	for step, valid := range map[string]bool{
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
		if violations := floorViolations(t, db, migrationFiles(append(known, step)...)); (len(violations) == 0) != valid {
			t.Errorf("%s: %v", step, violations)
		}
	}
}

// floorViolations applies the migrations one by one to an empty database and returns what violates the rule of the floor.
func floorViolations(t *testing.T, db *pgx.Conn, files fs.FS) (violations []string) {
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
			return violations
		} else if err != nil {
			t.Fatal(err)
		}
		version, _, err := versionOf(t.Context(), db)
		if err != nil {
			t.Fatal(err)
		}
		broken, raised := before.incompatibilities(readSchemaShape(t, db)), floorOf(t, db)
		switch {
		case floor == 0 && raised <= version: // the first migration with a floor
		case len(broken) > 0 && raised <= floor:
			violations = append(violations, fmt.Sprintf("migration %d removes what older releases need (%s) and leaves schema_floor at %d", version, broken, floor))
		case raised >= version:
			violations = append(violations, fmt.Sprintf("migration %d excludes the previous release: schema_floor is %d", version, raised))
		}
	}
}

// floorOf returns the schema's floor, or 0 without one.
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

// schemaShape is what programs depend on, by a line that describes it: columns with their types, and constraints.
type schemaShape map[string]shapePart

type shapePart struct {
	columns           []string // as table.column
	mustRemain        bool     // a program may need it
	constrainsWriters bool     // a program that writes must know it
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

// incompatibilities lists what was removed, and what older programs that write would violate. A constraint on a new table or column
// does not affect them, except a new required column of an old table.
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
