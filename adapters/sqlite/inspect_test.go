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
		ruin  func(t *testing.T, path string)
		check string
		state dbadmin.CheckStatus
		says  string // of what was found, or of what to do
	}{
		"nothing is wrong":      {func(*testing.T, string) {}, "", "", ""},
		"it is not there yet":   {func(t *testing.T, path string) { remove(t, path) }, "", "", ""},
		"no folder":             {func(t *testing.T, path string) { remove(t, path); remove(t, filepath.Dir(path)) }, "database.folder", dbadmin.CheckError, "make the directory"},
		"it is a folder":        {func(t *testing.T, path string) { remove(t, path); mkdir(t, path) }, "database.file", dbadmin.CheckError, "is a directory"},
		"others may read it":    {func(t *testing.T, path string) { chmod(t, path, 0o644) }, "database.file", dbadmin.CheckWarning, "chmod 600 "},
		"others may replace it": {func(t *testing.T, path string) { chmod(t, filepath.Dir(path), 0o777) }, "database.folder", dbadmin.CheckWarning, "chmod go-w "},
		"a letter in its place": {func(t *testing.T, path string) { write(t, path, "Dear diary,") }, "database.open", dbadmin.CheckError, "keylodge restore FILE"},
		"its head is lost":      {func(t *testing.T, path string) { overwrite(t, path, 16, strings.Repeat("x", 5000)) }, "database.open", dbadmin.CheckError, "keylodge restore FILE"},
		"it is damaged":         {damage, "database.integrity", dbadmin.CheckError, "keylodge restore FILE"},
		"a reference to nobody": {func(t *testing.T, path string) { execSQL(t, path, "PRAGMA foreign_keys = OFF; DELETE FROM users") }, "database.integrity", dbadmin.CheckError, "not there"},
		"of the next release":   {func(t *testing.T, path string) { execSQL(t, path, setNewerVersion) }, "database.schema", dbadmin.CheckWarning, "go on with the upgrade"},
		"of a newer release":    {func(t *testing.T, path string) { execSQL(t, path, setIncompatibleVersion) }, "database.schema", dbadmin.CheckError, "start that one"},
		"of somebody else":      {func(t *testing.T, path string) { execSQL(t, path, "DROP TABLE schema_migrations") }, "database.schema", dbadmin.CheckError, "not a database of Keylodge"},
		"of an earlier release": {func(t *testing.T, path string) { down(t, path) }, "database.schema", dbadmin.CheckWarning, "keylodge migrate up"},
		"without its log":       {func(t *testing.T, path string) { execSQL(t, path, "PRAGMA journal_mode = DELETE") }, "database.journal", dbadmin.CheckWarning, "mode delete"},
		"the clock was put back": {func(t *testing.T, path string) {
			execSQL(t, path, "UPDATE events SET at = 2000000000000000")
		}, "clock", dbadmin.CheckError, "in the future"},
		"nobody sweeps": {func(t *testing.T, path string) {
			execSQL(t, path, `INSERT INTO webauthn_challenges (id, purpose, ceremony_state, created_at, expires_at) VALUES ('019a0000-0000-7000-0000-0000000000ff', 'login', x'01', 1, 2)`)
		}, "jobs", dbadmin.CheckWarning, "1 ceremonies"},
	} {
		t.Run(name, func(t *testing.T) {
			folder := filepath.Join(t.TempDir(), "data")
			if err := os.Mkdir(folder, 0o700); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(folder, "keylodge.db")
			fill(t, path)
			execSQL(t, path, healthy)
			c.ruin(t, path)
			var bad []dbadmin.CheckResult
			for _, finding := range NewFile(path).Inspect(t.Context(), now, dbadmin.CheckOptions{}) {
				if finding.Message == "" || (finding.Status == dbadmin.CheckOK) != (finding.Advice == "") {
					t.Errorf("%+v", finding)
				}
				if finding.Status != dbadmin.CheckOK {
					bad = append(bad, finding)
				}
			}
			switch {
			case c.check == "" && len(bad) > 0:
				t.Errorf("found %+v", bad)
			case c.check == "":
			case len(bad) != 1 || bad[0].Name != c.check || bad[0].Status != c.state || !strings.Contains(bad[0].Message+bad[0].Advice, c.says):
				t.Errorf("found %+v, want %s %s: %s", bad, c.check, c.state, c.says)
			}
		})
	}
}

// A look from below disturbs nobody, and leaves nothing behind.
func TestInspect_ChangesNothing(t *testing.T) {
	path := newFilledFile(t)
	NewFile(path).Inspect(t.Context(), time.Now(), dbadmin.CheckOptions{})
	wantFiles(t, filepath.Dir(path), "keylodge.db")
	execSQL(t, path, "PRAGMA journal_mode = DELETE")
	NewFile(path).Inspect(t.Context(), time.Now(), dbadmin.CheckOptions{})
	wantFiles(t, filepath.Dir(path), "keylodge.db")
	s := openAt(t, path)
	for _, finding := range NewFile(path).Inspect(t.Context(), time.Date(2026, time.November, 24, 12, 0, 0, 0, time.UTC), dbadmin.CheckOptions{}) {
		if finding.Status == dbadmin.CheckError {
			t.Errorf("beside a server: %+v", finding)
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
