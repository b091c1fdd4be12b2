package bootstrap

import (
	"context"
	"io"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/acceptance/testkit/postgresserver"
	"github.com/keylodge/keylodge/acceptance/testkit/settings"
	"github.com/keylodge/keylodge/adapters/cli"
	"github.com/keylodge/keylodge/adapters/system"
	"github.com/keylodge/keylodge/bootstrap/config"
)

func TestRun_OnPostgres(t *testing.T) {
	url := postgresserver.EmptyDatabase(t)
	cfg, err := load(t, "DATABASE_URL="+url, "SECRET="+settings.FirstSecret, "LISTEN=127.0.0.1:0", "OPS_LISTEN=")
	if err != nil {
		t.Fatal(err)
	}
	if exitCode, _, stderr := runCommand("users list"); exitCode != cli.ExitFailure || !strings.Contains(stderr, "there is no database at test") {
		t.Errorf("before the first start: exit %d, %q", exitCode, stderr)
	}
	for range 2 {
		ctx, stop := context.WithCancel(t.Context())
		log := newLineLog()
		stopped := make(chan error, 1)
		go func() { stopped <- run(ctx, cfg, system.Clock{}, io.Discard, slog.New(slog.NewTextHandler(log, nil))) }()
		if first := nextLine(t, log, stopped); !strings.Contains(first, "is ready") || !strings.Contains(first, "as user keylodge") {
			t.Errorf("the first line is %q", first)
		}
		stop()
		if err := <-stopped; err != nil {
			t.Fatal(err)
		}
	}
	store, err := cfg.Database.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	addUser(t, store, "Ada")
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	exitCode, stdout, stderr := runCommand("users list")
	if exitCode != cli.ExitOK || !strings.Contains(stdout, "ada@example.org") {
		t.Errorf("exit %d, %q, %q", exitCode, stdout, stderr)
	}
	if made, _ := os.ReadDir("."); len(made) > 0 {
		t.Errorf("created %v", made)
	}
}

func TestMaintenance_Postgres(t *testing.T) {
	url := postgresserver.EmptyDatabase(t)
	if _, err := load(t, "DATABASE_URL="+url, "SECRET="+settings.FirstSecret, "LISTEN=127.0.0.1:0", "OPS_LISTEN="); err != nil {
		t.Fatal(err)
	}
	wantCommand(t, "doctor", cli.ExitOK, "the first start creates them")
	wantCommand(t, "migrate up", cli.ExitOK, "Applied migration 1 (")
	wantCommand(t, "backup night.db", cli.ExitConflict, "pg_dump --format=custom")
	wantCommand(t, "restore --yes night.db", cli.ExitConflict, "pg_restore")
	stop := startServer(t)
	wantCommand(t, "migrate down --yes", cli.ExitConflict, "stop all servers")
	wantCommand(t, "doctor", cli.ExitOK, "all encrypted data can be decrypted")
	settings.WriteFile(t, "keylodge.secret", "not ours", 0o644)
	wantCommand(t, "doctor", cli.ExitOK, "0 errors, 0 warnings.")
	removeFile(t, "keylodge.secret")
	stop()
	t.Setenv("KEYLODGE_SECRET", strings.Repeat("A", 42)+"E")
	wantCommand(t, "doctor --json", cli.ExitUnhealthy, "one or more checks failed")
	t.Setenv("KEYLODGE_SECRET", "")
	if exitCode, stdout, _ := runCommand("doctor"); exitCode != cli.ExitUnhealthy || !strings.Contains(stdout, "KEYLODGE_SECRET: not set") {
		t.Errorf("without a secret: exit %d, %s", exitCode, stdout)
	}
	t.Setenv("KEYLODGE_SECRET", settings.FirstSecret)
	postgresserver.AwaitNoConnections(t, url)
	wantCommand(t, "migrate down --yes", cli.ExitOK, "Reverted migration 1 (initial)")
	wantCommand(t, "doctor", cli.ExitOK, "the first start creates them")
	if made, _ := os.ReadDir("."); len(made) > 0 {
		t.Errorf("created %v", made)
	}
}

func TestOpen_PostgresRequiresSecret(t *testing.T) {
	app, err := Open(config.Config{Database: config.Postgres("postgres://db/keylodge")}, system.Clock{}, slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "set KEYLODGE_SECRET") {
		if err == nil {
			app.Close()
		}
		t.Errorf("got %v", err)
	}
}

func TestDatabaseURL_UnknownParameter(t *testing.T) {
	url := postgresserver.EmptyDatabase(t) + "&pgbouncer=true"
	cfg, err := load(t, "DATABASE_URL="+url, "SECRET="+settings.FirstSecret, "LISTEN=127.0.0.1:0", "OPS_LISTEN=")
	if err != nil {
		t.Fatal(err)
	}
	const want = "the server knows no parameter pgbouncer: remove it from the URL"
	if err := run(t.Context(), cfg, system.Clock{}, io.Discard, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("start: %v", err)
	}
	if exitCode, stdout, _ := runCommand("doctor"); exitCode != cli.ExitUnhealthy || !strings.Contains(stdout, want) {
		t.Errorf("doctor: exit %d, %s", exitCode, stdout)
	}
	wantCommand(t, "migrate status", cli.ExitFailure, want)
	wantCommand(t, "users list", cli.ExitFailure, want)
}
