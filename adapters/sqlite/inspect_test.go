package sqlite

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/ports"
)

func TestAnInspectionFindsWhatIsWrong(t *testing.T) {
	now := time.Date(2026, time.November, 24, 12, 0, 0, 0, time.UTC)
	healthy := "DELETE FROM webauthn_challenges"
	for name, c := range map[string]struct {
		ruin  func(t *testing.T, path string)
		check string
		state ports.FindingState
		says  string // of what was found, or of what to do
	}{
		"nothing is wrong":      {func(*testing.T, string) {}, "", "", ""},
		"it is not there yet":   {func(t *testing.T, path string) { remove(t, path) }, "", "", ""},
		"no folder":             {func(t *testing.T, path string) { remove(t, path); remove(t, filepath.Dir(path)) }, "database.folder", ports.FindingFault, "make the directory"},
		"it is a folder":        {func(t *testing.T, path string) { remove(t, path); mkdir(t, path) }, "database.file", ports.FindingFault, "is a directory"},
		"others may read it":    {func(t *testing.T, path string) { chmod(t, path, 0o644) }, "database.file", ports.FindingWarning, "chmod 600 "},
		"others may replace it": {func(t *testing.T, path string) { chmod(t, filepath.Dir(path), 0o777) }, "database.folder", ports.FindingWarning, "chmod go-w "},
		"a letter in its place": {func(t *testing.T, path string) { write(t, path, "Dear diary,") }, "database.open", ports.FindingFault, "keylodge restore FILE"},
		"its head is lost":      {func(t *testing.T, path string) { overwrite(t, path, 16, strings.Repeat("x", 5000)) }, "database.open", ports.FindingFault, "keylodge restore FILE"},
		"it is damaged":         {damage, "database.integrity", ports.FindingFault, "keylodge restore FILE"},
		"a reference to nobody": {func(t *testing.T, path string) { run(t, path, "PRAGMA foreign_keys = OFF; DELETE FROM users") }, "database.integrity", ports.FindingFault, "not there"},
		"of the next release":   {func(t *testing.T, path string) { run(t, path, newer) }, "database.schema", ports.FindingWarning, "go on with the upgrade"},
		"of a newer release":    {func(t *testing.T, path string) { run(t, path, tooNew) }, "database.schema", ports.FindingFault, "start that one"},
		"of somebody else":      {func(t *testing.T, path string) { run(t, path, "DROP TABLE schema_migrations") }, "database.schema", ports.FindingFault, "not a database of Keylodge"},
		"of an earlier release": {func(t *testing.T, path string) { down(t, path) }, "database.schema", ports.FindingWarning, "keylodge migrate up"},
		"without its log":       {func(t *testing.T, path string) { run(t, path, "PRAGMA journal_mode = DELETE") }, "database.journal", ports.FindingWarning, "mode delete"},
		"the clock was put back": {func(t *testing.T, path string) {
			run(t, path, "UPDATE events SET at = 2000000000000000")
		}, "clock", ports.FindingFault, "in the future"},
		"nobody sweeps": {func(t *testing.T, path string) {
			run(t, path, `INSERT INTO webauthn_challenges (id, purpose, ceremony, created_at, expires_at) VALUES ('019a0000-0000-7000-0000-0000000000ff', 'login', x'01', 1, 2)`)
		}, "jobs", ports.FindingWarning, "1 ceremonies"},
	} {
		t.Run(name, func(t *testing.T) {
			folder := filepath.Join(t.TempDir(), "data")
			if err := os.Mkdir(folder, 0o700); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(folder, "keylodge.db")
			fill(t, path)
			run(t, path, healthy)
			c.ruin(t, path)
			var bad []ports.Finding
			for _, finding := range NewFile(path).Inspect(t.Context(), now, ports.Check{}) {
				if finding.Found == "" || (finding.State == ports.FindingOK) != (finding.Advice == "") {
					t.Errorf("%+v", finding)
				}
				if finding.State != ports.FindingOK {
					bad = append(bad, finding)
				}
			}
			switch {
			case c.check == "" && len(bad) > 0:
				t.Errorf("found %+v", bad)
			case c.check == "":
			case len(bad) != 1 || bad[0].Check != c.check || bad[0].State != c.state || !strings.Contains(bad[0].Found+bad[0].Advice, c.says):
				t.Errorf("found %+v, want %s %s: %s", bad, c.check, c.state, c.says)
			}
		})
	}
}

// A look from below disturbs nobody, and leaves nothing behind.
func TestAnInspectionGoesUnnoticed(t *testing.T) {
	path := filled(t)
	NewFile(path).Inspect(t.Context(), time.Now(), ports.Check{})
	wantNames(t, filepath.Dir(path), "keylodge.db")
	run(t, path, "PRAGMA journal_mode = DELETE")
	NewFile(path).Inspect(t.Context(), time.Now(), ports.Check{})
	wantNames(t, filepath.Dir(path), "keylodge.db")
	s := openAt(t, path)
	for _, finding := range NewFile(path).Inspect(t.Context(), time.Date(2026, time.November, 24, 12, 0, 0, 0, time.UTC), ports.Check{}) {
		if finding.State == ports.FindingFault {
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
