package sqlite

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/adapters/sqlstore"
	"github.com/keylodge/keylodge/ports/dbadmin"
)

func TestRestore_RestoresAllContents(t *testing.T) {
	path := newFilledFile(t)
	backup := filepath.Join(t.TempDir(), "backup")
	f := NewFile(path)
	saved, err := f.Save(t.Context(), backup, false, dbadmin.CheckOptions{Full: true})
	if err != nil {
		t.Fatal(err)
	}
	want := fileContents(t, path)
	execSQL(t, path, "DELETE FROM totps; UPDATE users SET email = 'mallory@example.org'")
	current := fileContents(t, path)
	if err := os.Chmod(path, 0o640); err != nil { // Commit must keep the operator's mode
		t.Fatal(err)
	}

	r, err := f.PrepareRestore(t.Context(), backup)
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Backup(); got.Users != saved.Users || got.Passkeys != 1 || got.Schema != saved.Schema || len(got.SigningKeys) != 1 || got.LatestEvent.IsZero() {
		t.Errorf("the backup has %+v", got)
	}
	if inventory, err := r.Current(t.Context()); err != nil || inventory == nil || inventory.Users != 1 {
		t.Errorf("Current: %+v, %v", inventory, err)
	}
	if got := fileContents(t, path); got != current {
		t.Error("PrepareRestore has changed the database")
	}
	kept, err := r.Commit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Discard(); err != nil {
		t.Error(err)
	}
	if got := fileContents(t, path); got != want {
		t.Errorf("restored:\n%s\nwant:\n%s", got, want)
	}
	if got := fileContents(t, kept); got != current {
		t.Errorf("the saved copy has\n%s\nwant\n%s", got, current)
	}
	if !strings.HasPrefix(kept, path+".before-restore-") {
		t.Errorf("the saved copy is %s", kept)
	}
	for file, mode := range map[string]fs.FileMode{path: 0o640, kept: 0o600} {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", file, info.Mode(), err)
		}
	}
	wantFiles(t, filepath.Dir(path), "keylodge.db", filepath.Base(kept))
	wantFiles(t, filepath.Dir(backup), "backup")
	openAt(t, path)
}

// The saved copy contains what was in the write-ahead log only.
func TestRestore_KeepsUncheckpointedWAL(t *testing.T) {
	path := newFilledFile(t)
	backup := filepath.Join(t.TempDir(), "backup")
	if _, err := NewFile(path).Save(t.Context(), backup, false, dbadmin.CheckOptions{Full: true}); err != nil {
		t.Fatal(err)
	}
	live := openAt(t, path)
	add(t, live, 1)
	crashed := filepath.Join(t.TempDir(), "keylodge.db")
	for _, suffix := range []string{"", "-wal"} {
		text, err := os.ReadFile(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		write(t, crashed+suffix, string(text))
	}
	r, err := NewFile(crashed).PrepareRestore(t.Context(), backup)
	if err != nil {
		t.Fatal(err)
	}
	kept, err := r.Commit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const query = "SELECT count(*) FROM webauthn_challenges WHERE id = '"
	if n := queryValue(t, kept, query+numberedID(1).String()+"'"); n != "1" {
		t.Error("the saved copy lacks what was in the log only")
	}
	if n := queryValue(t, crashed, query+numberedID(1).String()+"'"); n != "0" {
		t.Error("the log was applied to the restored database")
	}
}

func TestRestore_WithoutDatabase(t *testing.T) {
	backup := filepath.Join(t.TempDir(), "backup")
	if _, err := NewFile(newFilledFile(t)).Save(t.Context(), backup, false, dbadmin.CheckOptions{Full: true}); err != nil {
		t.Fatal(err)
	}
	for name, prepare := range map[string]func(t *testing.T, path string){
		"no file":       func(*testing.T, string) {},
		"an empty file": func(t *testing.T, path string) { write(t, path, "") },
		// The log of a deleted database would be applied to the new one.
		"the log of another database": func(t *testing.T, path string) {
			other := openNew(t)
			add(t, other, 1)
			log, err := filepath.Glob(filepath.Join(filepath.Dir(pathOf(t, other)), "*-wal"))
			if err != nil || len(log) != 1 {
				t.Fatal(log, err)
			}
			text, err := os.ReadFile(log[0])
			if err != nil {
				t.Fatal(err)
			}
			write(t, path+"-wal", string(text))
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "keylodge.db")
			prepare(t, path)
			r, err := NewFile(path).PrepareRestore(t.Context(), backup)
			if err != nil {
				t.Fatal(err)
			}
			if current, err := r.Current(t.Context()); current != nil || err != nil {
				t.Errorf("Current: %+v, %v", current, err)
			}
			if kept, err := r.Commit(t.Context()); kept != "" || err != nil {
				t.Errorf("saved copy %q, %v", kept, err)
			}
			if users := queryValue(t, path, "SELECT email FROM users"); users != "ada@example.org" {
				t.Errorf("the restored user is %s", users)
			}
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%v, %v", info.Mode(), err)
			}
		})
	}
}

func TestRestore_KeepsUnreadableDatabase(t *testing.T) {
	backup := filepath.Join(t.TempDir(), "backup")
	if _, err := NewFile(newFilledFile(t)).Save(t.Context(), backup, false, dbadmin.CheckOptions{Full: true}); err != nil {
		t.Fatal(err)
	}
	for name, breakFile := range map[string]func(t *testing.T, path string){
		"the header":              func(t *testing.T, path string) { overwrite(t, path, 0, "Dear diary, ") },
		"all but the first bytes": func(t *testing.T, path string) { overwrite(t, path, 16, strings.Repeat("x", 8000)) },
		"an index":                damage,
	} {
		t.Run(name, func(t *testing.T) {
			path := newFilledFile(t)
			breakFile(t, path)
			broken, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			r, err := NewFile(path).PrepareRestore(t.Context(), backup)
			if err != nil {
				t.Fatal(err)
			}
			if current, err := r.Current(t.Context()); current == nil || err != nil {
				t.Errorf("Current: %+v, %v", current, err)
			}
			kept, err := r.Commit(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if text, err := os.ReadFile(kept); err != nil || len(text) != len(broken) || name != "an index" && !bytes.Equal(text, broken) {
				t.Errorf("the saved copy has %d bytes of %d, %v", len(text), len(broken), err)
			}
			if users := queryValue(t, path, "SELECT email FROM users"); users != "ada@example.org" {
				t.Errorf("the restored user is %s", users)
			}
			wantFiles(t, filepath.Dir(path), "keylodge.db", filepath.Base(kept))
		})
	}
}

func TestPrepare_RejectsInvalidBackups(t *testing.T) {
	path := newFilledFile(t)
	complete := filepath.Join(t.TempDir(), "complete")
	if _, err := NewFile(path).Save(t.Context(), complete, false, dbadmin.CheckOptions{Full: true}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(complete)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		prepare func(t *testing.T, file string)
		code    string
	}{
		"no file":               {func(*testing.T, string) {}, "not_a_backup"},
		"an empty file":         {func(t *testing.T, file string) { write(t, file, "") }, "not_a_backup"},
		"a text file":           {func(t *testing.T, file string) { write(t, file, "Dear Ada, "+strings.Repeat("x", 4096)) }, "database_damaged"},
		"the first half":        {func(t *testing.T, file string) { write(t, file, string(text[:len(text)/2])) }, "database_damaged"},
		"without the last page": {func(t *testing.T, file string) { write(t, file, string(text[:len(text)-4096])) }, "database_damaged"},
		"a damaged index":       {func(t *testing.T, file string) { write(t, file, string(text)); damage(t, file) }, "database_damaged"},
		"another program's":     {func(t *testing.T, file string) { execSQL(t, file, "CREATE TABLE notes (text)") }, "not_a_keylodge_database"},
		"without a table":       {func(t *testing.T, file string) { write(t, file, string(text)); execSQL(t, file, "DROP TABLE totps") }, "not_a_keylodge_database"},
		"an incompatible schema": {func(t *testing.T, file string) {
			write(t, file, string(text))
			execSQL(t, file, setIncompatibleVersion)
		}, "newer_release"},
		"a database in use": {func(t *testing.T, file string) { write(t, file, string(text)); write(t, file+"-wal", "x") }, "not_a_backup"},
		"a directory": {func(t *testing.T, file string) {
			if err := os.Mkdir(file, 0o700); err != nil {
				t.Fatal(err)
			}
		}, "not_a_backup"},
	} {
		t.Run(name, func(t *testing.T) {
			path := newFilledFile(t)
			before := fileContents(t, path)
			file := filepath.Join(t.TempDir(), "backup")
			c.prepare(t, file)
			_, err := NewFile(path).PrepareRestore(t.Context(), file)
			wantCode(t, err, c.code)
			if got := fileContents(t, path); got != before {
				t.Error("the database was changed")
			}
			wantFiles(t, filepath.Dir(path), "keylodge.db")
		})
	}
	_, err = NewFile(path).PrepareRestore(t.Context(), path)
	wantCode(t, err, "not_a_backup")
}

func TestRestore_OlderSchemaVersion(t *testing.T) {
	useTestMigrations(t)
	for version := range rowsByVersion {
		old := filepath.Join(t.TempDir(), "keylodge.db")
		db, err := openDatabase(old)
		if err != nil {
			t.Fatal(err)
		}
		m := migrator(t, db)
		if err := m.Steps(1 + version); err != nil {
			t.Fatal(err)
		}
		if err, closeErr := m.Close(); err != nil || closeErr != nil {
			t.Fatal(err, closeErr)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		backup := filepath.Join(t.TempDir(), "backup")
		saved, err := NewFile(old).Save(t.Context(), backup, false, dbadmin.CheckOptions{Full: true})
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "keylodge.db")
		r, err := NewFile(path).PrepareRestore(t.Context(), backup)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		status, err := NewFile(path).Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		newest, err := sqlstore.ToRevert(status)
		if err != nil || newest.Version != saved.Schema {
			t.Errorf("the schema is at %+v, want %d, %v", newest, saved.Schema, err)
		}
		openAt(t, path) // upgrades the schema
	}
}
