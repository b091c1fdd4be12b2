package cli_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/acceptance/testkit/sqlitestore"
	"github.com/keylodge/keylodge/adapters/cli"
	"github.com/keylodge/keylodge/adapters/sqlite"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
	"github.com/keylodge/keylodge/ports/dbadmin"
)

// fixtureOnDisk returns a fixture whose database is a file with the account of Ada, who has an authenticator app.
func fixtureOnDisk(t *testing.T) (f *fixture, database, folder string) {
	t.Helper()
	folder = t.TempDir()
	database = filepath.Join(folder, "keylodge.db")
	store, err := sqlite.Open(database)
	if err != nil {
		t.Fatal(err)
	}
	f = newFixture(t)
	f.store = store
	f.addUser(t, ada)
	f.update(t, func(ctx context.Context, tx ports.Tx) error {
		return tx.TOTPs.Save(ctx, domain.RestoreTOTP(domain.TOTPState{UserID: ada.ID, Secret: []byte("encrypted"), ConfirmedAt: noon}))
	})
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	f.program.Maintain = func() (cli.Maintenance, error) { return maintenance(database, nil), nil }
	return f, database, folder
}

func maintenance(database string, secretErr error) cli.Maintenance {
	file := sqlite.NewFile(database)
	return cli.Maintenance{
		Database: database, Backups: file, Schema: file, SecretFile: "data/keylodge.secret",
		CheckSecret: func(domain.SigningKeys) error { return secretErr },
	}
}

func readFile(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestBackup_ReportsSecretNotIncluded(t *testing.T) {
	f, _, folder := fixtureOnDisk(t)
	file := filepath.Join(folder, "night.db")
	text := f.mustSucceed(t, "backup "+file)
	if !regexp.MustCompile(`^`+regexp.QuoteMeta(file)+` contains 1 user, 0 passkeys, \d+\.\d kB in \d+ pages, schema version \d+; all pages are checked\.\n`).MatchString(text) ||
		!strings.Contains(text, "keep a copy of data/keylodge.secret in another place") {
		t.Errorf("unexpected output: %s", text)
	}
	if why := f.mustFail(t, "backup "+file, cli.ExitConflict); !strings.Contains(why, "--force") {
		t.Errorf("unexpected output: %s", why)
	}
	document := decodeJSON[map[string]any](t, f.mustSucceed(t, "backup --json --force "+file))
	if document["file"] != file || document["users"] != 1.0 || document["passkeys"] != 0.0 || document["bytes"] != float64(len(readFile(t, file))) ||
		document["pages"] == 0.0 || document["schema"] == 0.0 || document["latest_event"] != nil || document["secret_file"] != "data/keylodge.secret" {
		t.Errorf("as JSON: %v", document)
	}
}

func TestRestore_AsksForConfirmation(t *testing.T) {
	for name, c := range map[string]struct {
		typed    string // "" without a terminal
		line     string
		exists   bool // a database
		replaced bool
	}{
		"no terminal": {"", "restore", true, false},
		"no":          {"no\n", "restore", true, false},
		"yes":         {"restore\n", "restore", true, true},
		"with --yes":  {"", "restore --yes", true, true},
		"no database": {"", "restore", false, true},
	} {
		t.Run(name, func(t *testing.T) {
			sqlitestore.AddMigrations(t, "../sqlite/testdata/migrations")
			f, database, folder := fixtureOnDisk(t)
			file := filepath.Join(folder, "night.db")
			f.mustSucceed(t, "migrate down --yes")
			f.mustSucceed(t, "backup "+file)
			f.mustSucceed(t, "migrate up")
			if !c.exists {
				if err := os.Remove(database); err != nil {
					t.Fatal(err)
				}
			}
			f.program.Interactive, f.program.Stdin = c.typed != "", strings.NewReader(c.typed)
			exitCode, stdout, stderr := f.run(t, c.line+" "+file)
			if (exitCode == cli.ExitOK) != c.replaced || !c.replaced && exitCode != cli.ExitConflict {
				t.Errorf("exit %d, %s", exitCode, stderr)
			}
			if c.typed != "" && !strings.Contains(stderr, "This replaces the database "+database+" (1 user, 0 passkeys") {
				t.Errorf("unexpected question: %q", stderr)
			}
			previous, err := filepath.Glob(database + ".before-restore-*")
			if err != nil || (len(previous) == 1) != (c.exists && c.replaced) {
				t.Errorf("previous databases: %v, %v", previous, err)
			}
			if c.replaced && (!strings.Contains(stdout, database+" is restored from "+file) || !strings.Contains(stdout, "the next start applies 1 migration") ||
				strings.Contains(stdout, "is kept as "+database+".before") != c.exists) {
				t.Errorf("unexpected output: %s", stdout)
			}
			status := f.mustSucceed(t, "migrate status")
			if strings.Contains(status, "pending") != c.replaced {
				t.Errorf("migrations after the restore:\n%s", status)
			}
			if files, _ := filepath.Glob(filepath.Join(folder, ".*")); len(files) > 0 {
				t.Errorf("temporary files remain: %v", files)
			}
		})
	}
}

func TestRestore_WarnsOfWrongSecret(t *testing.T) {
	f, database, folder := fixtureOnDisk(t)
	file := filepath.Join(folder, "night.db")
	f.mustSucceed(t, "backup "+file)
	f.program.Maintain = func() (cli.Maintenance, error) {
		return maintenance(database, errors.New("encrypted with another key")), nil
	}
	exitCode, _, stderr := f.run(t, "restore --yes "+file)
	if exitCode != cli.ExitOK || !strings.Contains(stderr, "Warning: ") || !strings.Contains(stderr, "encrypted with another key") {
		t.Errorf("exit %d, %s", exitCode, stderr)
	}
	document := decodeJSON[map[string]any](t, f.mustSucceed(t, "restore --yes --json "+file))
	if document["secret_fits"] != false || document["pending_migrations"] != 0.0 || document["kept"] == nil || document["users"] != 1.0 || document["file"] != file {
		t.Errorf("as JSON: %v", document)
	}
}

// migrations returns the list that a command prints as JSON.
func (f *fixture) migrations(t *testing.T, line string) []map[string]any {
	t.Helper()
	return decodeJSON[map[string][]map[string]any](t, f.mustSucceed(t, line+" --json"))["migrations"]
}

func TestMigrate_StatusUpDown(t *testing.T) {
	sqlitestore.AddMigrations(t, "../sqlite/testdata/migrations")
	f, _, _ := fixtureOnDisk(t)
	all := f.migrations(t, "migrate status")
	lines := strings.Split(f.mustSucceed(t, "migrate status"), "\n")
	if len(all) == 0 || len(lines) != len(all)+2 || lines[0] != "VERSION  STATE    NAME" || lines[1] != "1        applied  initial" || all[0]["state"] != "applied" {
		t.Fatalf("unexpected lists: %v and\n%s", all, strings.Join(lines, "\n"))
	}
	f.mustFail(t, "migrate down", cli.ExitConflict)
	if got := f.migrations(t, "migrate status"); got[len(got)-1]["state"] != "applied" {
		t.Error("the migration was reverted without confirmation")
	}
	reverted := 0
	for deleted := false; !deleted; reverted++ { // until the migration that created labels
		if reverted == len(all) {
			t.Fatal("no migration deletes the table labels")
		}
		f.program.Interactive, f.program.Stdin = true, strings.NewReader("down\n")
		exitCode, stdout, stderr := f.run(t, "migrate down")
		if exitCode != cli.ExitOK || !strings.Contains(stderr, "Type down to continue") || !strings.Contains(stdout, "Reverted migration") {
			t.Fatalf("exit %d, %s, %s", exitCode, stderr, stdout)
		}
		if deleted = strings.Contains(stdout, "the empty table labels"); deleted {
			for _, part := range []string{"the empty table labels", "the column webauthn_challenges.label_id"} {
				if !strings.Contains(stdout, part) || !strings.Contains(stderr, part) {
					t.Errorf("%q is not in both: %s, %s", part, stderr, stdout)
				}
			}
		}
	}
	applied := f.migrations(t, "migrate up")
	if len(applied) != reverted || applied[0]["state"] != "applied" {
		t.Errorf("up: %v after %d down", applied, reverted)
	}
	if text := f.mustSucceed(t, "migrate up"); text != "There are no pending migrations.\n" {
		t.Errorf("up again: %s", text)
	}
	document := decodeJSON[map[string]any](t, f.mustSucceed(t, "migrate down --yes --json"))
	if document["migration"].(map[string]any)["version"] != all[len(all)-1]["version"] || document["rows"] == nil || document["tables"] == nil || document["columns"] == nil {
		t.Errorf("as JSON: %v", document)
	}
	if text := f.mustSucceed(t, "migrate up"); !strings.Contains(text, all[len(all)-1]["name"].(string)) {
		t.Errorf("up: %s", text)
	}
}

// The check of every page takes minutes on a large database.
func TestDoctor_FullOnlyIfRequested(t *testing.T) {
	var full bool
	f := newFixture(t)
	f.program.RunChecks = func(_ context.Context, check dbadmin.CheckOptions) dbadmin.CheckResults {
		full = check.Full
		return nil
	}
	for line, want := range map[string]bool{"doctor": false, "doctor --json": false, "doctor --full": true, "doctor --full --json": true} {
		if f.mustSucceed(t, line); full != want {
			t.Errorf("%s checks every page: %t", line, full)
		}
	}
}

func TestDoctor_ErrorExitsUnhealthy(t *testing.T) {
	var results dbadmin.CheckResults
	f := newFixture(t)
	f.program.RunChecks = func(context.Context, dbadmin.CheckOptions) dbadmin.CheckResults { return slices.Clone(results) }
	results.AddOK("settings", "they are valid")
	results.AddWarning("proxies", "no proxy is trusted", "name it")
	const want = `ok       settings  they are valid
warning  proxies   no proxy is trusted
                   → name it

0 errors, 1 warning.
`
	if text := f.mustSucceed(t, "doctor"); text != want {
		t.Errorf("unexpected output:\n%s", text)
	}
	results.AddError("database.schema", "it is too new", "start that one")
	exitCode, stdout, stderr := f.run(t, "doctor")
	if exitCode != cli.ExitUnhealthy || !strings.Contains(stdout, "error    database.schema  it is too new\n") || !strings.Contains(stdout, "1 error, 1 warning.") || !strings.Contains(stderr, "one or more checks failed") {
		t.Errorf("exit %d, %s, %s", exitCode, stdout, stderr)
	}
	exitCode, stdout, stderr = f.run(t, "doctor --json")
	list := decodeJSON[map[string][]map[string]any](t, stdout)["checks"]
	if exitCode != cli.ExitUnhealthy || len(list) != 3 || list[0]["advice"] != nil || list[2]["advice"] != "start that one" || list[2]["state"] != "error" || list[2]["check"] != "database.schema" {
		t.Errorf("exit %d, %v", exitCode, list)
	}
	if why := decodeJSON[failureJSON](t, stderr); why.Error.Code != "checks_failed" {
		t.Errorf("%+v", why)
	}
}

func TestMaintenance_InvalidSettingsExit2(t *testing.T) {
	f := newFixture(t)
	f.program.Maintain = func() (cli.Maintenance, error) {
		return cli.Maintenance{}, &domain.Error{Kind: domain.KindInvalid, Code: "invalid_settings", Message: "one"}
	}
	for _, line := range []string{"backup f", "restore f", "migrate status", "migrate up", "migrate down --yes"} {
		f.mustFail(t, line, cli.ExitUsage)
	}
}
