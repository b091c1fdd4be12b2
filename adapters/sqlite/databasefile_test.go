package sqlite

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/domain"
)

// newFilledFile creates a database with rows in all tables and returns its path.
func newFilledFile(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "keylodge.db")
	fill(t, path)
	return path
}

func fill(t *testing.T, path string) {
	t.Helper()
	if err := prepareFiles(path); err != nil {
		t.Fatal(err)
	}
	db, err := openDatabase(path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := useWAL(db); err != nil {
		t.Fatal(err)
	}
	m := migrator(t, db)
	for _, rows := range rowsByVersion {
		if err := m.Steps(1); errors.Is(err, fs.ErrNotExist) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if _, err := db.Exec(rows); err != nil {
			t.Fatal(err)
		}
	}
	if err, closeErr := m.Close(); err != nil || closeErr != nil {
		t.Fatal(err, closeErr)
	}
}

// fileContents returns contentsOf an existing file.
func fileContents(t *testing.T, path string) string {
	t.Helper()
	db, err := openMode("rw", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	return contentsOf(t, db)
}

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	var known *domain.Error
	if !errors.As(err, &known) || known.Code != code {
		t.Fatalf("got %v, want %s", err, code)
	}
}

// wantFiles fails the test unless the folder contains exactly these files.
func wantFiles(t *testing.T, folder string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	if !slices.Equal(names, want) {
		t.Errorf("the folder has %v, want %v", names, want)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func execSQL(t *testing.T, path, statements string) {
	t.Helper()
	db, err := openDatabase(path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.Exec(statements); err != nil {
		t.Fatal(err)
	}
}

// damage overwrites an index.
func damage(t *testing.T, path string) {
	t.Helper()
	page, err := strconv.Atoi(queryValue(t, path, "SELECT rootpage FROM sqlite_schema WHERE name = 'events_at_idx'"))
	if err != nil {
		t.Fatal(err)
	}
	const pageSize = 4096
	overwrite(t, path, int64(page-1)*pageSize, strings.Repeat("x", pageSize))
}

func overwrite(t *testing.T, path string, at int64, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte(text), at); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// queryValue returns the first value of a query on a file.
func queryValue(t *testing.T, path, query string) string {
	t.Helper()
	db, err := openMode("rw", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	return queryColumn(t, db, query)[0]
}

func pathOf(t *testing.T, s *Store) string {
	t.Helper()
	return queryColumn(t, s.db, "SELECT file FROM pragma_database_list")[0]
}
