package sqlite

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestOpen_CreatesPrivateFiles(t *testing.T) {
	dir := t.TempDir()
	for i := range 2 { // a new and an existing database
		s, err := Open(filepath.Join(dir, "keylodge.db"))
		if err != nil {
			t.Fatal(err)
		}
		add(t, s, i)
		files, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		names := []string{}
		for _, file := range files {
			info, err := file.Info()
			if err != nil {
				t.Fatal(err)
			}
			if info.Mode().Perm() != 0o600 {
				t.Errorf("%s has mode %o", file.Name(), info.Mode().Perm())
			}
			names = append(names, file.Name())
		}
		if got := strings.Join(names, " "); got != "keylodge.db keylodge.db-shm keylodge.db-wal" {
			t.Errorf("files: %s", got)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOpen_PathWithSpecialCharacters(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a b?mode=memory&c#d%20é.db")
	add(t, openAt(t, path), 0)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() == 0 {
		t.Error("the file stayed empty")
	}
}

func TestOpen_ErrorsNameTheFix(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "notes.txt")
	if err := os.WriteFile(text, []byte("These are my notes, not a database."), 0o600); err != nil {
		t.Fatal(err)
	}
	short := filepath.Join(dir, "short.txt")
	if err := os.WriteFile(short, []byte("Hi"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "missing", "keylodge.db"): "create the directory " + filepath.Join(dir, "missing") + " first",
		text:  "this is not an SQLite database; name another file",
		short: "this is not an SQLite database; name another file",
		dir:   "is a directory",
	} {
		s, err := Open(path)
		if err == nil {
			t.Errorf("%s was opened", path)
			_ = s.Close()
		} else if !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v; want it to contain %q", path, err, want)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 2 {
		t.Errorf("the directory has %v, %v; want the two files only", entries, err)
	}
}

// The database of another program gets no table, no write-ahead log and no file beside it.
func TestOpen_RejectsDatabaseOfAnotherProgram(t *testing.T) {
	for statements, table := range map[string]string{
		"CREATE TABLE notes (text); CREATE TABLE _hidden (text)": "notes",
		"CREATE TABLE users (name)":                              "users",
		"CREATE TABLE schema_migrations (version); INSERT INTO schema_migrations VALUES (1); CREATE TABLE users (name)": "schema_migrations",
	} {
		path := filepath.Join(t.TempDir(), "notes.db")
		execSQL(t, path, statements)
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		s, err := Open(path)
		if err == nil {
			t.Errorf("%s: it was opened, %v", statements, s.Close())
			continue
		}
		wantCode(t, err, "not_a_keylodge_database")
		if !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "such as "+table+"; set KEYLODGE_DATABASE_URL") {
			t.Errorf("%s: %v; want the path, the table and the setting", statements, err)
		}
		if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, before) {
			t.Errorf("%s: the file was changed, %v", statements, err)
		}
		wantFiles(t, filepath.Dir(path), "notes.db")
	}
}

func TestOpen_AfterLitestream(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keylodge.db")
	execSQL(t, path, "PRAGMA journal_mode = WAL; CREATE TABLE _litestream_seq (id INTEGER PRIMARY KEY, seq INTEGER)")
	openAt(t, path)
}

func TestOpen_PermissionDenied(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root has all permissions")
	}
	path := filepath.Join(t.TempDir(), "keylodge.db")
	if err := os.WriteFile(path, nil, 0o400); err != nil {
		t.Fatal(err)
	}
	_, err := Open(path)
	if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "read and write it and its directory") {
		t.Errorf("got %v", err)
	}
}
