package bootstrap

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/settings"
	"github.com/keylodge/keylodge/acceptance/testkit/sqlitestore"
	"github.com/keylodge/keylodge/adapters/cli"
	"github.com/keylodge/keylodge/adapters/jwt"
	"github.com/keylodge/keylodge/adapters/system"
	"github.com/keylodge/keylodge/bootstrap/config"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// runCommand runs the program with the arguments in line, separated by spaces, and without a terminal.
func runCommand(line string) (exitCode int, stdout, stderr string) {
	return runCommandWith(emptyStdin, line)
}

func runCommandWith(stdin io.Reader, line string) (exitCode int, stdout, stderr string) {
	var out, err bytes.Buffer
	exitCode = Main(strings.Fields(line), stdin, &out, &err)
	return exitCode, out.String(), err.String()
}

// testUser is a user in the database, with a session.
type testUser struct {
	user    domain.UserState
	session domain.SessionState
}

// newDatabaseWithUsers creates a database in a new directory as the server does, with the users Ada and Ben.
func newDatabaseWithUsers(t *testing.T, lines ...string) (ada, ben testUser) {
	t.Helper()
	cfg, err := load(t, lines...)
	if err != nil {
		t.Fatal(err)
	}
	app, err := Open(cfg, system.Clock{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	app.Close()
	store, err := cfg.Database.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	return addUser(t, store, "Ada"), addUser(t, store, "Ben")
}

func addUser(t *testing.T, store ports.Store, name string) testUser {
	t.Helper()
	now := system.Clock{}.Now()
	email, err := domain.ParseEmail("email", name+"@example.org")
	if err != nil {
		t.Fatal(err)
	}
	pending := domain.NewPendingUser(email, domain.DisplayName(name), now, rand.Reader)
	user := pending.ToUser(now)
	passkey, err := domain.NewCredential(user.ID(), "Blue key", domain.Registration{
		CredentialID: domain.CredentialID(name), RPID: "localhost", PublicKey: []byte("public"), Flags: 1<<0 | 1<<2, // UP, UV
	}, now)
	if err != nil {
		t.Fatal(err)
	}
	lifetime := domain.SessionLifetime{TTL: time.Hour, IdleTTL: time.Hour}
	session, _ := domain.OpenSession(passkey, domain.Device{Name: "Firefox on Linux"}, lifetime, now, rand.Reader)
	err = store.Update(t.Context(), func(tx ports.Tx) error {
		return errors.Join(tx.Users.Add(t.Context(), user), tx.Credentials.Add(t.Context(), passkey, sqlitestore.Attestation()), tx.Sessions.Add(t.Context(), session))
	})
	if err != nil {
		t.Fatal(err)
	}
	return testUser{user.State(), session.State()}
}

func TestCommand_HelpAndUsage(t *testing.T) {
	if _, err := load(t); err != nil {
		t.Fatal(err)
	}
	for line, c := range map[string]struct {
		exitCode int
		out, err string
	}{
		"help":            {cli.ExitOK, "passkey server", ""},
		"--help":          {cli.ExitOK, "passkey server", ""},
		"-h":              {cli.ExitOK, "passkey server", ""},
		"version":         {cli.ExitOK, "keylodge ", ""},
		"--version":       {cli.ExitOK, "keylodge ", ""},
		"completion bash": {cli.ExitOK, "keylodge", ""},
		"completion zsh":  {cli.ExitOK, "keylodge", ""},
		"completion fish": {cli.ExitOK, "keylodge", ""},
		"dance":           {cli.ExitUsage, "", `unknown command "dance"`},
		"user":            {cli.ExitUsage, "", "did you mean users?"},
		"users show Ada":  {cli.ExitUsage, "", "by id or by e-mail address"},
	} {
		t.Run(line, func(t *testing.T) {
			exitCode, stdout, stderr := runCommand(line)
			if exitCode != c.exitCode || !strings.Contains(stdout, c.out) || !strings.Contains(stderr, c.err) || (c.err == "") != (stderr == "") {
				t.Errorf("exit %d, stdout %q, stderr %q", exitCode, stdout, stderr)
			}
		})
	}
	wantFiles(t)
}

func TestCommand_ManagesUsers(t *testing.T) {
	ada, ben := newDatabaseWithUsers(t)
	for _, c := range []struct {
		line     string
		exitCode int
		want     string // on stdout, or on stderr if it fails
	}{
		{"users list", cli.ExitOK, "ada@example.org  Ada\n"},
		{"users list --limit 1", cli.ExitOK, ada.user.ID.String()},
		{"users show ben@example.org", cli.ExitOK, "Firefox on Linux"},
		{"sessions revoke " + ada.session.ID.String(), cli.ExitOK, "revoked"},
		{"sessions revoke " + ada.session.ID.String(), cli.ExitNotFound, "no such session"},
		{"sessions revoke --user ben@example.org", cli.ExitOK, "1 session revoked"},
		{"users disable ada@example.org", cli.ExitOK, "disabled"},
		{"users list", cli.ExitOK, "disabled"},
		{"users enable " + ada.user.ID.String(), cli.ExitOK, "enabled"},
		{"users delete ben@example.org", cli.ExitConflict, "--yes"},
		{"users delete ben@example.org --yes", cli.ExitOK, "deleted"},
		{"users show " + ben.user.ID.String(), cli.ExitNotFound, "no such user"},
		{"keys list", cli.ExitOK, "signing"},
		{"keys rotate", cli.ExitOK, "announced"},
	} {
		exitCode, stdout, stderr := runCommand(c.line)
		said := stdout
		if c.exitCode != cli.ExitOK {
			said = stderr
		}
		if exitCode != c.exitCode || !strings.Contains(said, c.want) || said != stdout+stderr {
			t.Errorf("%q: exit %d, stdout %q, stderr %q", c.line, exitCode, stdout, stderr)
		}
	}
	wantFiles(t, "keylodge.db", "keylodge.secret")
}

func TestCommand_JSON(t *testing.T) {
	ada, ben := newDatabaseWithUsers(t)
	for _, c := range []struct {
		line     string
		exitCode int
		members  []string
	}{
		{"users list --json", cli.ExitOK, []string{"users"}},
		{"users show --json " + ada.user.ID.String(), cli.ExitOK, []string{"events", "passkeys", "sessions", "user"}},
		{"users disable --json ada@example.org", cli.ExitOK, []string{"sessions_revoked", "user_id"}},
		{"users enable --json ada@example.org", cli.ExitOK, []string{"user_id"}},
		{"sessions revoke --json " + ben.session.ID.String(), cli.ExitOK, []string{"session_id", "sessions_revoked"}},
		{"sessions revoke --json --user ben@example.org", cli.ExitOK, []string{"sessions_revoked", "user_id"}},
		{"users delete --json --yes ben@example.org", cli.ExitOK, []string{"user_id"}},
		{"keys list --json", cli.ExitOK, []string{"keys"}},
		{"keys rotate --json", cli.ExitOK, []string{"keys"}},
		{"users show --json ben@example.org", cli.ExitNotFound, []string{"error"}},
	} {
		exitCode, stdout, stderr := runCommand(c.line)
		var document map[string]any
		if err := json.Unmarshal([]byte(stdout+stderr), &document); err != nil {
			t.Errorf("%q: %v in %q", c.line, err, stdout+stderr)
		}
		var members []string
		for name := range document {
			members = append(members, name)
		}
		slices.Sort(members)
		if exitCode != c.exitCode || !slices.Equal(members, c.members) || (exitCode == cli.ExitOK) != (stderr == "") {
			t.Errorf("%q: exit %d, %v, stderr %q", c.line, exitCode, members, stderr)
		}
	}
}

// The program treats the null device as a terminal: it asks for confirmation, and reads nothing.
func TestCommand_DeleteConfirmsOnTerminal(t *testing.T) {
	newDatabaseWithUsers(t)
	terminal, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	if exitCode, _, stderr := runCommandWith(terminal, "users delete ada@example.org"); exitCode != cli.ExitConflict || !strings.Contains(stderr, "Type ada@example.org") {
		t.Errorf("exit %d, %s", exitCode, stderr)
	}
	piped := strings.NewReader("ada@example.org\n")
	if exitCode, _, stderr := runCommandWith(piped, "users delete ada@example.org"); exitCode != cli.ExitConflict || strings.Contains(stderr, "Type ada") {
		t.Errorf("exit %d, %s", exitCode, stderr)
	}
	if exitCode, _, _ := runCommand("users show ada@example.org"); exitCode != cli.ExitOK {
		t.Error("the account was deleted")
	}
}

func TestCommand_CreatesNoDatabase(t *testing.T) {
	for name, prepare := range map[string]func() error{
		"none":          func() error { return nil },
		"an empty file": func() error { return os.WriteFile("keylodge.db", nil, 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := load(t); err != nil {
				t.Fatal(err)
			}
			if err := prepare(); err != nil {
				t.Fatal(err)
			}
			before, _ := filepath.Glob("*")
			for _, line := range []string{"users list", "keys list", "keys rotate", "users delete --yes ada@example.org"} {
				if exitCode, _, stderr := runCommand(line); exitCode != cli.ExitFailure || !strings.Contains(stderr, "there is no database at keylodge.db; start the server once") {
					t.Errorf("%q: exit %d, %s", line, exitCode, stderr)
				}
			}
			if _, _, stderr := runCommand("users list --json"); !strings.Contains(stderr, `"no_database"`) {
				t.Errorf("as JSON: %s", stderr)
			}
			wantFiles(t, before...)
		})
	}
}

func TestCommand_RequiresKeyFile(t *testing.T) {
	newDatabaseWithUsers(t)
	if err := os.Remove("keylodge.secret"); err != nil {
		t.Fatal(err)
	}
	if exitCode, _, stderr := runCommand("users list"); exitCode != cli.ExitFailure || !strings.Contains(stderr, "restore the file") {
		t.Errorf("exit %d, %s", exitCode, stderr)
	}
}

func TestCommand_RejectsNonDatabaseFile(t *testing.T) {
	if _, err := load(t, "SECRET="+settings.FirstSecret); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("keylodge.db", []byte("Dear diary,"), 0o600); err != nil {
		t.Fatal(err)
	}
	if exitCode, _, stderr := runCommand("users list"); exitCode != cli.ExitFailure || !strings.Contains(stderr, "not an SQLite database") {
		t.Errorf("exit %d, %s", exitCode, stderr)
	}
}

func TestCommand_InvalidSettingsAreUsageErrors(t *testing.T) {
	if _, err := load(t, "PUBLIC_URL=http://id.example.org", "LOG_LEVEL=loud"); err == nil {
		t.Fatal("the settings are valid")
	}
	exitCode, _, stderr := runCommand("users list")
	if exitCode != cli.ExitUsage || !strings.HasPrefix(stderr, "keylodge: invalid settings:\n  KEYLODGE_") || !strings.Contains(stderr, "\n    fix: ") {
		t.Errorf("exit %d, %s", exitCode, stderr)
	}
	if exitCode, _, stderr = runCommand("users list --json"); exitCode != cli.ExitUsage || !strings.Contains(stderr, `"invalid_settings"`) {
		t.Errorf("exit %d, %s", exitCode, stderr)
	}
}

// An operator validates a new metadata file with a command before it replaces the old one.
func TestCommand_ValidatesMetadataFile(t *testing.T) {
	blobFile, rootFile := settings.MetadataFiles(t, time.Now().AddDate(0, 1, 0))
	invalid := filepath.Join(t.TempDir(), "metadata.new")
	settings.WriteFile(t, invalid, "<html>", 0o600)
	newDatabaseWithUsers(t, settings.Attested(blobFile, rootFile)...)
	if exitCode, _, stderr := runCommand("migrate status"); exitCode != cli.ExitOK {
		t.Errorf("exit %d, %s", exitCode, stderr)
	}
	t.Setenv("KEYLODGE_METADATA_FILE", invalid)
	if exitCode, _, stderr := runCommand("migrate status"); exitCode != cli.ExitUsage || !strings.Contains(stderr, "KEYLODGE_METADATA_FILE") {
		t.Errorf("exit %d, %s", exitCode, stderr)
	}
}

func TestCommand_RejectsRotatingExternalKeys(t *testing.T) {
	newDatabaseWithUsers(t)
	key, err := jwt.New().Generate(domain.SigningES256)
	if err != nil {
		t.Fatal(err)
	}
	private, err := key.Private()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("signing.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KEYLODGE_JWT_KEY_FILE", "signing.pem")
	if exitCode, _, stderr := runCommand("keys rotate"); exitCode != cli.ExitConflict || !strings.Contains(stderr, "KEYLODGE_JWT_KEY_FILE") {
		t.Errorf("exit %d, %s", exitCode, stderr)
	}
	if exitCode, stdout, stderr := runCommand("keys list"); exitCode != cli.ExitOK || !strings.Contains(stdout, key.ID()) {
		t.Errorf("exit %d, %s", exitCode, stderr)
	}
}

func TestCommand_WhileServerRuns(t *testing.T) {
	newDatabaseWithUsers(t, "LISTEN=127.0.0.1:0", "OPS_LISTEN=")
	cfg, err := config.Load()
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	log := newLineLog()
	stopped := make(chan error, 1)
	go func() { stopped <- run(ctx, cfg, system.Clock{}, io.Discard, slog.New(slog.NewTextHandler(log, nil))) }()
	if first := nextLine(t, log, stopped); !strings.Contains(first, "is ready") {
		t.Fatal(first)
	}
	for _, line := range []string{"users disable ada@example.org", "users list", "keys rotate", "users delete --yes ada@example.org"} {
		if exitCode, _, stderr := runCommand(line); exitCode != cli.ExitOK {
			t.Errorf("%q: exit %d, %s", line, exitCode, stderr)
		}
	}
	stop()
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func wantFiles(t *testing.T, want ...string) {
	t.Helper()
	files, err := filepath.Glob("*")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(files, want) {
		t.Errorf("files %v, want %v", files, want)
	}
}
