package bootstrap

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/settings"
	"github.com/keylodge/keylodge/acceptance/testkit/sqlitestore"
	"github.com/keylodge/keylodge/adapters/cli"
	"github.com/keylodge/keylodge/adapters/sqlite"
	"github.com/keylodge/keylodge/adapters/system"
	"github.com/keylodge/keylodge/application/signup"
	"github.com/keylodge/keylodge/bootstrap/config"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// startServer runs a server in the current directory until stop or the end of the test.
func startServer(t *testing.T) (stop func()) {
	t.Helper()
	cfg, err := config.Load()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	log := newLineLog()
	stopped := make(chan error, 1)
	go func() { stopped <- run(ctx, cfg, system.Clock{}, io.Discard, slog.New(slog.NewTextHandler(log, nil))) }()
	if first := nextLine(t, log, stopped); !strings.Contains(first, "is ready") {
		t.Fatal(first)
	}
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// wantCommand runs a command and requires its exit code and a text in its output: on stdout, or on stderr if it fails.
func wantCommand(t *testing.T, line string, exitCode int, text string) {
	t.Helper()
	got, stdout, stderr := runCommand(line)
	output := stdout
	if exitCode != cli.ExitOK {
		output = stderr
	}
	if got != exitCode || !strings.Contains(output, text) {
		t.Errorf("%q: exit %d, %s%s; want exit %d, %q", line, got, stdout, stderr, exitCode, text)
	}
}

func TestBackup_WhileServingRestoreAfterStop(t *testing.T) {
	newDatabaseWithUsers(t, "LISTEN=127.0.0.1:0", "OPS_LISTEN=")
	stop := startServer(t)
	wantCommand(t, "backup night.db", cli.ExitOK, "night.db contains 2 users, 2 passkeys")
	wantCommand(t, "backup night.db", cli.ExitConflict, "--force")
	wantCommand(t, "users delete --yes ben@example.org", cli.ExitOK, "deleted")
	for _, line := range []string{"restore --yes night.db", "migrate down --yes"} {
		wantCommand(t, line, cli.ExitConflict, "stop the server")
	}
	wantCommand(t, "users list --json", cli.ExitOK, "ada@example.org")
	stop()
	wantCommand(t, "restore night.db", cli.ExitConflict, "--yes")
	wantCommand(t, "restore --yes night.db", cli.ExitOK, "2 users, 2 passkeys")
	stop = startServer(t)
	wantCommand(t, "users show ben@example.org", cli.ExitOK, "Blue key")
	stop()
	kept, err := filepath.Glob("keylodge.db.before-restore-*")
	if err != nil || len(kept) != 1 {
		t.Fatal(kept, err)
	}
	wantCommand(t, "restore --yes "+kept[0], cli.ExitOK, "1 user, 1 passkey")
	wantCommand(t, "users show ben@example.org", cli.ExitNotFound, "")
}

// Clients begin sign-ups during the backup. It contains each one whose response was sent before the backup began.
func TestBackup_ContainsAcknowledgedWrites(t *testing.T) {
	newDatabaseWithUsers(t)
	cfg, err := config.Load()
	if err != nil {
		t.Fatal(err)
	}
	app, err := Open(cfg, system.Clock{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer app.Close()
	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	defer clients.Wait()
	defer stop()
	var mu sync.Mutex
	var acknowledged []domain.ChallengeID
	for range 8 {
		clients.Go(func() {
			for ctx.Err() == nil {
				begun, err := app.UseCases().SignUp.Begin(ctx, signup.Input{}, domain.Binding{})
				if err != nil {
					if ctx.Err() == nil {
						t.Error(err)
					}
					return
				}
				mu.Lock()
				acknowledged = append(acknowledged, begun.ChallengeID)
				mu.Unlock()
			}
		})
	}
	current := func() []domain.ChallengeID {
		mu.Lock()
		defer mu.Unlock()
		return acknowledged[:len(acknowledged):len(acknowledged)]
	}
	for len(current()) < 200 {
		if t.Failed() {
			t.FailNow()
		}
		time.Sleep(time.Millisecond)
	}
	for _, file := range []string{"one.db", "two.db", "three.db"} {
		before := current()
		wantCommand(t, "backup "+file, cli.ExitOK, "2 users")
		wantChallenges(t, file, before)
		if len(current()) == len(before) {
			t.Log("no sign-up began during the backup")
		}
	}
}

func wantChallenges(t *testing.T, file string, challenges []domain.ChallengeID) {
	t.Helper()
	store, err := sqlite.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	err = store.View(t.Context(), func(tx ports.Tx) error {
		for i, id := range challenges {
			if _, err := tx.Challenges.ByID(t.Context(), id); err != nil {
				t.Errorf("%s lacks number %d of %d", file, i+1, len(challenges))
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// An operator makes a backup before an upgrade.
func TestBackup_NeedsNoSecretAndNoUpgrade(t *testing.T) {
	sqlitestore.AddMigrations(t, "../adapters/sqlite/testdata/migrations")
	newDatabaseWithUsers(t)
	wantCommand(t, "migrate down --yes", cli.ExitOK, "Reverted migration")
	if err := os.Remove("keylodge.secret"); err != nil {
		t.Fatal(err)
	}
	wantCommand(t, "backup night.db", cli.ExitOK, "2 users")
	wantCommand(t, "migrate status", cli.ExitOK, "pending")
	wantCommand(t, "restore --yes night.db", cli.ExitOK, "the next start applies 1 migration")
	wantCommand(t, "migrate up", cli.ExitOK, "Applied migration")
	wantFiles(t, append([]string{"keylodge.db"}, append(keptFiles(t), "night.db")...)...)
}

func keptFiles(t *testing.T) []string {
	t.Helper()
	kept, err := filepath.Glob("*.before-restore-*")
	if err != nil {
		t.Fatal(err)
	}
	return kept
}

func TestRestore_WarnsOfOtherSecret(t *testing.T) {
	newDatabaseWithUsers(t)
	wantCommand(t, "backup night.db", cli.ExitOK, "")
	warned := func() bool {
		exitCode, _, stderr := runCommand("restore --yes night.db")
		if exitCode != cli.ExitOK {
			t.Errorf("exit %d, %s", exitCode, stderr)
		}
		return strings.Contains(stderr, "Warning: ")
	}
	if warned() {
		t.Error("warns about the right secret")
	}
	t.Setenv("KEYLODGE_SECRET", settings.FirstSecret)
	if !warned() {
		t.Error("no warning about a wrong secret")
	}
	if err := os.Unsetenv("KEYLODGE_SECRET"); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove("keylodge.secret"); err != nil {
		t.Fatal(err)
	}
	if !warned() {
		t.Error("no warning about a missing secret")
	}
	if _, err := os.Stat("keylodge.secret"); err == nil {
		t.Error("another key file was created, which hides that the right one is missing")
	}
}

func TestMaintenance_JSON(t *testing.T) {
	newDatabaseWithUsers(t)
	for _, line := range []string{"backup --json night.db", "restore --json --yes night.db", "migrate status --json", "migrate down --json --yes", "migrate up --json", "doctor --json"} {
		exitCode, stdout, stderr := runCommand(line)
		if exitCode != cli.ExitOK || !json.Valid([]byte(stdout)) || stderr != "" {
			t.Errorf("%q: exit %d, %s, %s", line, exitCode, stdout, stderr)
		}
	}
}
