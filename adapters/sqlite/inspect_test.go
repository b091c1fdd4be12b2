package sqlite

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/ports/dbadmin"
)

func TestInspect_ReportsProblems(t *testing.T) {
	useTestMigrations(t)
	now := time.Date(2026, time.November, 24, 12, 0, 0, 0, time.UTC)
	healthy := "DELETE FROM webauthn_challenges"
	for name, c := range map[string]struct {
		prepare  func(t *testing.T, path string)
		check    string
		status   dbadmin.CheckStatus
		contains string // in the message or the advice
	}{
		"no problem":                   {func(*testing.T, string) {}, "", "", ""},
		"no database yet":              {func(t *testing.T, path string) { remove(t, path) }, "", "", ""},
		"no folder":                    {func(t *testing.T, path string) { remove(t, path); remove(t, filepath.Dir(path)) }, "database.folder", dbadmin.CheckError, "create the directory"},
		"a directory as the database":  {func(t *testing.T, path string) { remove(t, path); mkdir(t, path) }, "database.file", dbadmin.CheckError, "is a directory"},
		"readable for others":          {func(t *testing.T, path string) { chmod(t, path, 0o644) }, "database.file", dbadmin.CheckWarning, "chmod 600 "},
		"replaceable by others":        {func(t *testing.T, path string) { chmod(t, filepath.Dir(path), 0o777) }, "database.folder", dbadmin.CheckWarning, "chmod go-w "},
		"a text file":                  {func(t *testing.T, path string) { write(t, path, "Dear diary,") }, "database.open", dbadmin.CheckError, "keylodge restore FILE"},
		"an overwritten header":        {func(t *testing.T, path string) { overwrite(t, path, 16, strings.Repeat("x", 5000)) }, "database.open", dbadmin.CheckError, "keylodge restore FILE"},
		"a damaged index":              {damage, "database.integrity", dbadmin.CheckError, "keylodge restore FILE"},
		"a reference to a missing row": {func(t *testing.T, path string) { execSQL(t, path, "PRAGMA foreign_keys = OFF; DELETE FROM users") }, "database.integrity", dbadmin.CheckError, "missing row"},
		"a compatible newer schema":    {func(t *testing.T, path string) { execSQL(t, path, setNewerVersion) }, "database.schema", dbadmin.CheckWarning, "finish the upgrade"},
		"an incompatible schema":       {func(t *testing.T, path string) { execSQL(t, path, setIncompatibleVersion) }, "database.schema", dbadmin.CheckError, "start the newer release"},
		"another program's tables":     {func(t *testing.T, path string) { execSQL(t, path, "DROP TABLE schema_migrations") }, "database.schema", dbadmin.CheckError, "not a Keylodge database"},
		"an older schema":              {func(t *testing.T, path string) { down(t, path) }, "database.schema", dbadmin.CheckWarning, "keylodge migrate up"},
		"another journal mode":         {func(t *testing.T, path string) { execSQL(t, path, "PRAGMA journal_mode = DELETE") }, "database.journal", dbadmin.CheckWarning, "mode is delete"},
		"an event in the future": {func(t *testing.T, path string) {
			execSQL(t, path, "UPDATE events SET at = 2000000000000000")
		}, "clock", dbadmin.CheckError, "in the future"},
		"an overdue challenge": {func(t *testing.T, path string) {
			execSQL(t, path, `INSERT INTO webauthn_challenges (id, purpose, ceremony_state, created_at, expires_at) VALUES ('019a0000-0000-7000-0000-0000000000ff', 'login', x'01', 1, 2)`)
		}, "jobs", dbadmin.CheckWarning, "1 expired challenges"},
	} {
		t.Run(name, func(t *testing.T) {
			folder := filepath.Join(t.TempDir(), "data")
			if err := os.Mkdir(folder, 0o700); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(folder, "keylodge.db")
			fill(t, path)
			execSQL(t, path, healthy)
			c.prepare(t, path)
			var problems []dbadmin.CheckResult
			for _, result := range NewFile(path).Inspect(t.Context(), now, dbadmin.CheckOptions{}) {
				if result.Message == "" || (result.Status == dbadmin.CheckOK) != (result.Advice == "") {
					t.Errorf("%+v", result)
				}
				if result.Status != dbadmin.CheckOK {
					problems = append(problems, result)
				}
			}
			switch {
			case c.check == "" && len(problems) > 0:
				t.Errorf("unexpected problems: %+v", problems)
			case c.check == "":
			case len(problems) != 1 || problems[0].Name != c.check || problems[0].Status != c.status || !strings.Contains(problems[0].Message+problems[0].Advice, c.contains):
				t.Errorf("problems %+v, want %s %s: %s", problems, c.check, c.status, c.contains)
			}
		})
	}
}

// Inspect does not change the database, its files, or a running server.
func TestInspect_ChangesNothing(t *testing.T) {
	path := newFilledFile(t)
	NewFile(path).Inspect(t.Context(), time.Now(), dbadmin.CheckOptions{})
	wantFiles(t, filepath.Dir(path), "keylodge.db")
	execSQL(t, path, "PRAGMA journal_mode = DELETE")
	NewFile(path).Inspect(t.Context(), time.Now(), dbadmin.CheckOptions{})
	wantFiles(t, filepath.Dir(path), "keylodge.db")
	s := openAt(t, path)
	for _, result := range NewFile(path).Inspect(t.Context(), time.Date(2026, time.November, 24, 12, 0, 0, 0, time.UTC), dbadmin.CheckOptions{}) {
		if result.Status == dbadmin.CheckError {
			t.Errorf("while a server runs: %+v", result)
		}
	}
	add(t, s, 1)
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func mkdir(t *testing.T, path string) {
	t.Helper()
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
}

func chmod(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func down(t *testing.T, path string) {
	t.Helper()
	if _, err := NewFile(path).Down(t.Context()); err != nil {
		t.Fatal(err)
	}
}
