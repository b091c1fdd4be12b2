package bootstrap

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/acceptance/testkit/settings"
	"github.com/keylodge/keylodge/adapters/cli"
)

// exportUsers exports a database with Ada and Ben, and returns the export and a copy of the key file.
func exportUsers(t *testing.T) (file, key string) {
	t.Helper()
	newDatabaseWithUsers(t)
	directory := t.TempDir()
	file, key = filepath.Join(directory, "accounts.jsonl"), filepath.Join(directory, "key")
	if exitCode, stdout, stderr := runCommand("export " + file); exitCode != cli.ExitOK || !strings.HasPrefix(stdout, "Exported to "+file+": 2 users,") ||
		!strings.Contains(stdout, "1 signing key,") || stderr != "" {
		t.Fatalf("exit %d, %s%s", exitCode, stdout, stderr)
	}
	copyFile(t, "keylodge.secret", key)
	return file, key
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestImport_CreatesDatabase(t *testing.T) {
	file, key := exportUsers(t)
	t.Chdir(t.TempDir())
	copyFile(t, key, "keylodge.secret")
	for range 2 {
		if exitCode, _, stderr := runCommand("import " + file); exitCode != cli.ExitOK || stderr != "" {
			t.Fatalf("exit %d, %s", exitCode, stderr)
		}
	}
	for _, line := range []string{"users show ada@example.org", "users show ben@example.org"} {
		if exitCode, stdout, stderr := runCommand(line); exitCode != cli.ExitOK || !strings.Contains(stdout, "Blue key") {
			t.Errorf("exit %d, %s", exitCode, stderr)
		}
	}
	if exitCode, stdout, _ := runCommand("keys list"); exitCode != cli.ExitOK || strings.Count(stdout, "signing") != 1 {
		t.Errorf("exit %d, %s", exitCode, stdout)
	}
}

// The imported data cannot be decrypted with a newly generated secret.
func TestImport_RequiresSecret(t *testing.T) {
	file, key := exportUsers(t)
	t.Chdir(t.TempDir())
	if exitCode, _, stderr := runCommand("import " + file); exitCode != cli.ExitUsage || !strings.Contains(stderr, "copy the key file to keylodge.secret") {
		t.Errorf("without a secret: exit %d, %s", exitCode, stderr)
	}
	wantFiles(t)
	t.Setenv("KEYLODGE_SECRET", settings.FirstSecret)
	if exitCode, _, stderr := runCommand("import " + file); exitCode != cli.ExitUsage || !strings.Contains(stderr, "KEYLODGE_PREVIOUS_SECRETS") {
		t.Errorf("with another secret: exit %d, %s", exitCode, stderr)
	}
	if exitCode, stdout, _ := runCommand("users list"); exitCode != cli.ExitOK || strings.Contains(stdout, "@") {
		t.Errorf("exit %d, %s", exitCode, stdout)
	}
	secret, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("KEYLODGE_PREVIOUS_SECRETS", strings.TrimSpace(string(secret)))
	if exitCode, _, stderr := runCommand("import " + file); exitCode != cli.ExitOK {
		t.Errorf("with the right previous secret: exit %d, %s", exitCode, stderr)
	}
}

func TestExport_RequiresDatabase(t *testing.T) {
	if _, err := load(t); err != nil {
		t.Fatal(err)
	}
	if exitCode, _, stderr := runCommand("export accounts.jsonl"); exitCode != cli.ExitFailure || !strings.Contains(stderr, "there is no database") {
		t.Errorf("exit %d, %s", exitCode, stderr)
	}
	wantFiles(t)
}
