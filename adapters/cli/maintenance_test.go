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

	"github.com/keylodge/keylodge/acceptance/sqlitestore"
	"github.com/keylodge/keylodge/adapters/cli"
	"github.com/keylodge/keylodge/adapters/sqlite"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
	"github.com/keylodge/keylodge/ports/dbadmin"
)

// fixtureOnDisk is a lodge whose database is a file that Ada is in, with an authenticator app.
func fixtureOnDisk(t *testing.T) (l *fixture, database, folder string) {
	t.Helper()
	folder = t.TempDir()
	database = filepath.Join(folder, "keylodge.db")
	store, err := sqlite.Open(database)
	if err != nil {
		t.Fatal(err)
	}
	l = newFixture(t)
	l.store = store
	l.addUser(t, ada)
	l.update(t, func(ctx context.Context, tx ports.Tx) error {
		return tx.TOTPs.Save(ctx, domain.RestoreTOTP(domain.TOTPState{UserID: ada.ID, Secret: []byte("sealed"), ConfirmedAt: noon}))
	})
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	l.program.Maintain = func() (cli.Maintenance, error) { return maintenance(database, nil), nil }
	return l, database, folder
}

func maintenance(database string, sealed error) cli.Maintenance {
	file := sqlite.NewFile(database)
	return cli.Maintenance{
		Database: database, Backups: file, Schema: file, SecretFile: "data/keylodge.secret",
		CheckSecret: func(domain.SigningKeys) error { return sealed },
	}
}

// readFile tells files apart.
func readFile(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestBackup_ReportsSecretNotIncluded(t *testing.T) {
	l, _, folder := fixtureOnDisk(t)
	file := filepath.Join(folder, "night.db")
	text := l.mustSucceed(t, "backup "+file)
	if !regexp.MustCompile(`^`+regexp.QuoteMeta(file)+` holds 1 user, 0 passkeys, \d+\.\d kB in \d+ pages, schema version \d+; it is checked\.\n`).MatchString(text) ||
		!strings.Contains(text, "keep a copy of data/keylodge.secret too") {
		t.Errorf("it says %s", text)
	}
	if why := l.mustFail(t, "backup "+file, cli.ExitConflict); !strings.Contains(why, "--force") {
		t.Errorf("it says %s", why)
	}
	answer := decodeJSON[map[string]any](t, l.mustSucceed(t, "backup --json --force "+file))
	if answer["file"] != file || answer["users"] != 1.0 || answer["passkeys"] != 0.0 || answer["bytes"] != float64(len(readFile(t, file))) ||
		answer["pages"] == 0.0 || answer["schema"] == 0.0 || answer["latest_event"] != nil || answer["secret_file"] != "data/keylodge.secret" {
		t.Errorf("as JSON: %v", answer)
	}
}

func TestRestore_AsksForConfirmation(t *testing.T) {
	for name, c := range map[string]struct {
		typed    string // "" for nobody at a terminal
		line     string
		present  bool
		replaced bool
	}{
		"nobody to ask":   {"", "restore", true, false},
		"no":              {"no\n", "restore", true, false},
		"yes":             {"restore\n", "restore", true, true},
		"told not to ask": {"", "restore --yes", true, true},
		"nothing there":   {"", "restore", false, true},
	} {
		t.Run(name, func(t *testing.T) {
			sqlitestore.AddMigrations(t, "../sqlite/testdata/migrations")
			l, database, folder := fixtureOnDisk(t)
			file := filepath.Join(folder, "night.db")
			l.mustSucceed(t, "migrate down --yes")
			l.mustSucceed(t, "backup "+file)
			l.mustSucceed(t, "migrate up")
			if !c.present {
				if err := os.Remove(database); err != nil {
					t.Fatal(err)
				}
			}
			l.program.Interactive, l.program.Stdin = c.typed != "", strings.NewReader(c.typed)
			exitCode, stdout, stderr := l.run(t, c.line+" "+file)
			if (exitCode == cli.ExitOK) != c.replaced || !c.replaced && exitCode != cli.ExitConflict {
				t.Errorf("exit %d, %s", exitCode, stderr)
			}
			if c.typed != "" && !strings.Contains(stderr, "The database "+database+" (1 user, 0 passkeys") {
				t.Errorf("it asks %q", stderr)
			}
			kept, err := filepath.Glob(database + ".before-restore-*")
			if err != nil || (len(kept) == 1) != (c.present && c.replaced) {
				t.Errorf("kept: %v, %v", kept, err)
			}
			if c.replaced && (!strings.Contains(stdout, database+" is restored from "+file) || !strings.Contains(stdout, "upgrades it, by 1 migration") ||
				strings.Contains(stdout, "is kept as "+database+".before") != c.present) {
				t.Errorf("it says %s", stdout)
			}
			status := l.mustSucceed(t, "migrate status")
			if strings.Contains(status, "pending") != c.replaced {
				t.Errorf("afterwards there is\n%s", status)
			}
			if drafts, _ := filepath.Glob(filepath.Join(folder, ".*")); len(drafts) > 0 {
				t.Errorf("left behind: %v", drafts)
			}
		})
	}
}

func TestRestore_WarnsOfWrongSecret(t *testing.T) {
	l, database, folder := fixtureOnDisk(t)
	file := filepath.Join(folder, "night.db")
	l.mustSucceed(t, "backup "+file)
	l.program.Maintain = func() (cli.Maintenance, error) {
		return maintenance(database, errors.New("sealed under another one")), nil
	}
	exitCode, _, stderr := l.run(t, "restore --yes "+file)
	if exitCode != cli.ExitOK || !strings.Contains(stderr, "Warning: ") || !strings.Contains(stderr, "sealed under another one") {
		t.Errorf("exit %d, %s", exitCode, stderr)
	}
	answer := decodeJSON[map[string]any](t, l.mustSucceed(t, "restore --yes --json "+file))
	if answer["secret_fits"] != false || answer["pending_migrations"] != 0.0 || answer["kept"] == nil || answer["users"] != 1.0 || answer["file"] != file {
		t.Errorf("as JSON: %v", answer)
	}
}

// migrations is what migrate status and migrate up write as JSON.
func (l *fixture) migrations(t *testing.T, line string) []map[string]any {
	t.Helper()
	return decodeJSON[map[string][]map[string]any](t, l.mustSucceed(t, line+" --json"))["migrations"]
}

func TestMigrate_StatusUpDown(t *testing.T) {
	sqlitestore.AddMigrations(t, "../sqlite/testdata/migrations")
	l, _, _ := fixtureOnDisk(t)
	all := l.migrations(t, "migrate status")
	lines := strings.Split(l.mustSucceed(t, "migrate status"), "\n")
	if len(all) == 0 || len(lines) != len(all)+2 || lines[0] != "VERSION  STATE    NAME" || lines[1] != "1        applied  initial" || all[0]["state"] != "applied" {
		t.Fatalf("it lists %v and\n%s", all, strings.Join(lines, "\n"))
	}
	l.mustFail(t, "migrate down", cli.ExitConflict)
	if got := l.migrations(t, "migrate status"); got[len(got)-1]["state"] != "applied" {
		t.Error("it was taken back unasked")
	}
	taken := 0
	for lost := false; !lost; taken++ { // until the one that has added labels is next
		if taken == len(all) {
			t.Fatal("nothing was ever lost")
		}
		l.program.Interactive, l.program.Stdin = true, strings.NewReader("down\n")
		exitCode, stdout, stderr := l.run(t, "migrate down")
		if exitCode != cli.ExitOK || !strings.Contains(stderr, "Type down to go on") || !strings.Contains(stdout, "is taken back") {
			t.Fatalf("exit %d, %s, %s", exitCode, stderr, stdout)
		}
		if lost = strings.Contains(stdout, "the empty table labels"); lost {
			for _, part := range []string{"the empty table labels", "the column webauthn_challenges.label_id"} {
				if !strings.Contains(stdout, part) || !strings.Contains(stderr, part) {
					t.Errorf("of %q: %s, %s", part, stderr, stdout)
				}
			}
		}
	}
	applied := l.migrations(t, "migrate up")
	if len(applied) != taken || applied[0]["state"] != "applied" {
		t.Errorf("up: %v after %d down", applied, taken)
	}
	if text := l.mustSucceed(t, "migrate up"); text != "Nothing is pending.\n" {
		t.Errorf("up again: %s", text)
	}
	answer := decodeJSON[map[string]any](t, l.mustSucceed(t, "migrate down --yes --json"))
	if answer["migration"].(map[string]any)["version"] != all[len(all)-1]["version"] || answer["rows"] == nil || answer["tables"] == nil || answer["columns"] == nil {
		t.Errorf("as JSON: %v", answer)
	}
	if text := l.mustSucceed(t, "migrate up"); !strings.Contains(text, all[len(all)-1]["name"].(string)) {
		t.Errorf("up: %s", text)
	}
}

func TestDoctor_ErrorExitsUnhealthy(t *testing.T) {
	var found dbadmin.CheckResults
	l := newFixture(t)
	l.program.RunChecks = func(context.Context, dbadmin.CheckOptions) dbadmin.CheckResults { return slices.Clone(found) }
	found.AddOK("settings", "they are valid")
	found.AddWarning("proxies", "no proxy is trusted", "name it")
	const well = `ok       settings  they are valid
warning  proxies   no proxy is trusted
                   → name it

0 errors, 1 warning.
`
	if text := l.mustSucceed(t, "doctor"); text != well {
		t.Errorf("it says\n%s", text)
	}
	found.AddError("database.schema", "it is too new", "start that one")
	exitCode, stdout, stderr := l.run(t, "doctor")
	if exitCode != cli.ExitUnhealthy || !strings.Contains(stdout, "error    database.schema  it is too new\n") || !strings.Contains(stdout, "1 error, 1 warning.") || !strings.Contains(stderr, "one or more checks failed") {
		t.Errorf("exit %d, %s, %s", exitCode, stdout, stderr)
	}
	exitCode, stdout, stderr = l.run(t, "doctor --json")
	list := decodeJSON[map[string][]map[string]any](t, stdout)["checks"]
	if exitCode != cli.ExitUnhealthy || len(list) != 3 || list[0]["advice"] != nil || list[2]["advice"] != "start that one" || list[2]["state"] != "error" || list[2]["check"] != "database.schema" {
		t.Errorf("exit %d, %v", exitCode, list)
	}
	if why := decodeJSON[failureJSON](t, stderr); why.Error.Code != "checks_failed" {
		t.Errorf("%+v", why)
	}
}

func TestMaintenance_InvalidSettingsExit2(t *testing.T) {
	l := newFixture(t)
	l.program.Maintain = func() (cli.Maintenance, error) {
		return cli.Maintenance{}, &domain.Error{Kind: domain.KindInvalid, Code: "invalid_settings", Message: "one"}
	}
	for _, line := range []string{"backup f", "restore f", "migrate status", "migrate up", "migrate down --yes"} {
		l.mustFail(t, line, cli.ExitUsage)
	}
}
