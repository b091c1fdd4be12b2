package sqlite

import (
	"path/filepath"
	"strings"
	"testing"
)

// Whether the schema of a newer release may be served on is what that one says, in schema_floor.
const (
	newer  = "UPDATE schema_migrations SET version = 9999"
	tooNew = newer + "; UPDATE schema_floor SET version = 9999"
)

func TestASchemaSaysWhoMayServeOnIt(t *testing.T) {
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
			wantUpgrade(t, db, steps(append(known, c.brought...)...), "")
			if _, err := db.Exec(c.after); err != nil {
				t.Fatal(err)
			}
			before := contentsOf(t, db)
			newer, err := upgrade(db, steps(known...))
			if newer != c.newer || (err != nil) != c.refused || err != nil && !strings.Contains(err.Error(), "a newer release made it; start that one") {
				t.Errorf("it is served on as %d, %v", newer, err)
			}
			if after := contentsOf(t, db); after != before {
				t.Errorf("it was changed to:\n%s\nfrom:\n%s", after, before)
			}
		})
	}
}

func TestAStoreOnTheSchemaOfTheNextRelease(t *testing.T) {
	path := filled(t)
	if s := openAt(t, path); s.NewerSchema() != 0 {
		t.Errorf("a schema of this release is taken for %d", s.NewerSchema())
	}
	run(t, path, newer+"; ALTER TABLE users ADD COLUMN title TEXT")
	s := openAt(t, path)
	if s.NewerSchema() != 9999 {
		t.Errorf("a schema of the next release is taken for %d", s.NewerSchema())
	}
	f := NewFile(path)
	status, err := f.Status(t.Context())
	if last := status[len(status)-1]; err != nil || len(status) != len(releases)+1 || !last.Newer || !last.Applied || last.Version != 9999 {
		t.Errorf("%+v, %v", status, err)
	}
	if applied, err := f.Up(t.Context()); err != nil || len(applied) != 0 {
		t.Errorf("Up: %+v, %v", applied, err)
	}
	file := filepath.Join(t.TempDir(), "backup")
	if saved, err := f.Save(t.Context(), file, false); err != nil || saved.Schema != 9999 {
		t.Errorf("Save: %+v, %v", saved, err)
	}
	r, err := f.Prepare(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Discard(); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = f.Rehearse(t.Context())
	wantCode(t, err, "newer_release")
	_, err = f.Down(t.Context())
	wantCode(t, err, "newer_release")
	run(t, path, "ALTER TABLE users DROP COLUMN display_name")
	_, err = f.Status(t.Context())
	wantCode(t, err, "not_a_keylodge_database")
}
