package sqlite

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/driver"

	"github.com/keylodge/keylodge/domain"
)

// Requirement: Durability-outages
func TestConditions_whichErrorsAreOutages(t *testing.T) {
	for code, outage := range map[error]bool{
		sqlite3.BUSY: true, sqlite3.BUSY_SNAPSHOT: true, sqlite3.LOCKED: true, sqlite3.PROTOCOL: true, sqlite3.FULL: true, sqlite3.IOERR: true,
		sqlite3.IOERR_FSYNC: true, sqlite3.CANTOPEN: true, sqlite3.READONLY: true, sqlite3.READONLY_DBMOVED: true, sqlite3.PERM: true, sqlite3.AUTH: true,
		sqlite3.NOMEM: true, sqlite3.NOLFS: true,
		sqlite3.CORRUPT: false, sqlite3.CORRUPT_INDEX: false, sqlite3.NOTADB: false, sqlite3.CONSTRAINT: false, sqlite3.MISUSE: false, sqlite3.SCHEMA: false,
	} {
		if err := wrap("trying", fmt.Errorf("wrapped: %w", code)); errors.Is(err, domain.ErrUnavailable) != outage {
			t.Errorf("%v: an outage is %t, want %t", code, !outage, outage)
		}
	}
}

// The documentation has the same table as the code, in the same order.
func TestConditions_areDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/operations/sqlite.md")
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for _, c := range conditions {
		status := "500 `internal`"
		if c.outage {
			status = "503 `unavailable`"
		}
		rows = append(rows, fmt.Sprintf("| `SQLITE_%s` | %s | %s |\n", c.name, status, c.advice))
	}
	if want := strings.Join(rows, ""); !strings.Contains(string(page), want) {
		t.Errorf("docs/operations/sqlite.md does not have these rows:\n%s", want)
	}
}

// A damaged page is not an outage: the call fails until a backup is restored.
func TestStore_damagedPage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keylodge.db")
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	add(t, s, 1)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	var page, size int64
	db, err := driver.Open("file:" + path)
	if err != nil {
		t.Fatal(err)
	}
	err = db.QueryRowContext(t.Context(), "SELECT rootpage, (SELECT page_size FROM pragma_page_size) FROM sqlite_schema WHERE name = 'webauthn_challenges'").Scan(&page, &size)
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	overwrite(t, path, (page-1)*size, strings.Repeat("x", int(size)))
	s = openAt(t, path)
	_, err = find(t, s, 1)
	if !errors.Is(err, sqlite3.CORRUPT) || errors.Is(err, domain.ErrUnavailable) || !strings.Contains(err.Error(), "restore a backup") {
		t.Errorf("reading: %v", err)
	}
	if err := s.Update(t.Context(), noop); err != nil {
		t.Errorf("an Update that does not use the damaged page: %v", err)
	}
}
