package sqlite

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/keylodge/keylodge/adapters/sqlstore"
	"github.com/keylodge/keylodge/ports/dbadmin"
)

func TestSchema_StatusUpDown(t *testing.T) {
	useTestMigrations(t)
	path := newFilledFile(t)
	f := NewFile(path)
	all, err := sqlstore.Migrations(SchemaFiles)
	if err != nil || len(all) != len(rowsByVersion) {
		t.Fatalf("%d migrations, %v", len(all), err)
	}
	wantState := func(applied int) {
		t.Helper()
		status, err := f.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for i, m := range status {
			if m.Version != all[i].Version || m.Name == "" || m.Applied != (i < applied) {
				t.Errorf("with %d applied: %+v", applied, m)
			}
		}
	}
	wantState(len(all))
	for applied := len(all); applied > 0; applied-- {
		before := fileContents(t, path)
		dryRun, err := f.DryRunDown(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := fileContents(t, path); got != before {
			t.Fatal("the dry run has changed the database")
		}
		wantState(applied)
		loss, err := f.Down(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(dryRun) != fmt.Sprint(loss) || loss.Migration.Version != all[applied-1].Version {
			t.Errorf("dry run %+v, lost %+v", dryRun, loss)
		}
		switch loss.Migration.Name {
		case "labels":
			if loss.Rows["labels"] != 2 || loss.Rows["webauthn_challenges"] != 1 || loss.Rows["users"] != 0 ||
				!slices.Contains(loss.Tables, "labels") || !slices.Contains(loss.Columns, "webauthn_challenges.label_id") || slices.Contains(loss.Tables, "users") {
				t.Errorf("lost: %+v", loss)
			}
		case "user_titles":
			if len(loss.Rows)+len(loss.Tables) > 0 || !slices.Equal(loss.Columns, []string{"users.title"}) {
				t.Errorf("lost: %+v", loss)
			}
		}
		wantState(applied - 1)
		if applied == 1 {
			continue
		}
		if mode := queryValue(t, path, "PRAGMA journal_mode"); mode != "wal" {
			t.Errorf("the journal mode is %s", mode)
		}
	}
	_, err = f.Down(t.Context())
	wantCode(t, err, "nothing_to_undo")
	_, err = f.Save(t.Context(), filepath.Join(t.TempDir(), "backup"), false, dbadmin.CheckOptions{})
	wantCode(t, err, "not_a_keylodge_database")
	wantFiles(t, filepath.Dir(path), "keylodge.db")
	if done, err := f.Up(t.Context()); err != nil || len(done) != len(all) {
		t.Errorf("up again: %+v, %v", done, err)
	}
}

func TestUp_AppliesPendingMigrations(t *testing.T) {
	useTestMigrations(t)
	path := newFilledFile(t)
	f := NewFile(path)
	for range 2 {
		if _, err := f.Down(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	done, err := f.Up(t.Context())
	if err != nil || len(done) != 2 {
		t.Fatalf("%+v, %v", done, err)
	}
	if done, err = f.Up(t.Context()); err != nil || len(done) != 0 {
		t.Errorf("Up again: %+v, %v", done, err)
	}
	execSQL(t, path, setIncompatibleVersion)
	for _, do := range []func(context.Context) ([]dbadmin.Migration, error){f.Up, f.Status} {
		_, err := do(t.Context())
		wantCode(t, err, "newer_release")
	}
	empty := NewFile(filepath.Join(t.TempDir(), "keylodge.db"))
	_, err = empty.Up(t.Context())
	wantCode(t, err, "no_database")
	status, err := empty.Status(t.Context())
	if err != nil || len(status) == 0 || status[0].Applied {
		t.Errorf("Status of a missing database: %+v, %v", status, err)
	}
}
