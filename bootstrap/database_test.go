package bootstrap

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/acceptance/postgresserver"
	"github.com/keylodge/keylodge/adapters/cli"
	"github.com/keylodge/keylodge/adapters/system"
)

func TestLoadConfig_PostgresRequiresSecret(t *testing.T) {
	for _, scheme := range []string{"postgres", "postgresql"} {
		const url = "://ada:hunter2@db:5433/keylodge"
		_, err := load(t, "DATABASE_URL="+scheme+url)
		if err == nil || !strings.Contains(err.Error(), "KEYLODGE_SECRET") || !strings.Contains(err.Error(), "openssl rand") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("without one: %v", err)
		}
		config, err := load(t, "DATABASE_URL="+scheme+url, "SECRET="+firstSecret)
		if err != nil || config.Database != Postgres(scheme+url) {
			t.Errorf("with one: %v, %v", config.Database, err)
		}
	}
}

func TestDatabase_PrintsNoPassword(t *testing.T) {
	for _, url := range []string{
		"postgres://ada:hunter2@db:5433/lodge", "postgres://ada@db:5433/lodge?password=hunter2", "postgres://ada:hunter2@db:5433/lodge?sslmode=odd",
		"postgres://ada:hunter2%zz@db:5433/lodge",
	} {
		config := Config{Database: Postgres(url)}
		var log bytes.Buffer
		slog.New(slog.NewJSONHandler(&log, nil)).Info("", slog.Any("database", config.Database), slog.Any("config", config))
		_, fault := load(t, "DATABASE_URL="+url, "SECRET="+firstSecret)
		for _, printed := range []string{fmt.Sprint(config), fmt.Sprintf("%+v", config), fmt.Sprintf("%#v", config), log.String(), fmt.Sprint(fault)} {
			if strings.Contains(printed, "hunter2") {
				t.Errorf("it is in %s", printed)
			}
		}
	}
	if got := Postgres("postgres://ada:hunter2@db:5433/lodge").String(); got != "lodge at db:5433 as user ada" {
		t.Errorf("what is left is %q", got)
	}
}

func TestRun_OnPostgres(t *testing.T) {
	url := postgresserver.EmptyDatabase(t)
	config, err := load(t, "DATABASE_URL="+url, "SECRET="+firstSecret, "LISTEN=127.0.0.1:0", "OPS_LISTEN=")
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
		go func() { stopped <- run(ctx, config, slog.New(slog.NewTextHandler(log, nil))) }()
		if first := nextLine(t, log, stopped); !strings.Contains(first, "is ready") || !strings.Contains(first, "as user keylodge") {
			t.Errorf("the first line is %q", first)
		}
		stop()
		if err := <-stopped; err != nil {
			t.Fatal(err)
		}
	}
	store, err := config.Database.open(t.Context())
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
		t.Errorf("left behind: %v", made)
	}
}

func TestMaintenance_Postgres(t *testing.T) {
	url := postgresserver.EmptyDatabase(t)
	if _, err := load(t, "DATABASE_URL="+url, "SECRET="+firstSecret, "LISTEN=127.0.0.1:0", "OPS_LISTEN="); err != nil {
		t.Fatal(err)
	}
	wantCommand(t, "doctor", cli.ExitOK, "the first start makes them")
	wantCommand(t, "migrate up", cli.ExitOK, "Migration 1 (")
	wantCommand(t, "backup night.db", cli.ExitConflict, "pg_dump --format=custom")
	wantCommand(t, "restore --yes night.db", cli.ExitConflict, "pg_restore")
	stop := startServer(t)
	wantCommand(t, "migrate down --yes", cli.ExitConflict, "stop the server")
	wantCommand(t, "doctor", cli.ExitOK, "it opens all that is sealed")
	writeFile(t, "keylodge.secret", "not ours", 0o644)
	wantCommand(t, "doctor", cli.ExitOK, "0 errors, 0 warnings.")
	removeFile(t, "keylodge.secret")
	stop()
	t.Setenv("KEYLODGE_SECRET", strings.Repeat("A", 42)+"E")
	wantCommand(t, "doctor --json", cli.ExitUnhealthy, "one or more checks failed")
	t.Setenv("KEYLODGE_SECRET", "")
	if exitCode, stdout, _ := runCommand("doctor"); exitCode != cli.ExitUnhealthy || !strings.Contains(stdout, "KEYLODGE_SECRET: it is not set") {
		t.Errorf("without a secret: exit %d, %s", exitCode, stdout)
	}
	t.Setenv("KEYLODGE_SECRET", firstSecret)
	wantCommand(t, "migrate down --yes", cli.ExitOK, "Migration 1 (initial) is taken back")
	wantCommand(t, "doctor", cli.ExitOK, "the first start makes them")
	if made, _ := os.ReadDir("."); len(made) > 0 {
		t.Errorf("left behind: %v", made)
	}
}

func TestOpen_PostgresRequiresSecret(t *testing.T) {
	app, err := Open(Config{Database: Postgres("postgres://db/keylodge")}, system.Clock{}, slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "configured secret") {
		if err == nil {
			app.Close()
		}
		t.Errorf("got %v", err)
	}
}

func TestLoadConfig_RejectsInvalidDatabaseURLs(t *testing.T) {
	for url, want := range map[string]string{
		"postgres://ada:12#hunter2@db/lodge":                 "# is %23",
		"postgres://ada:12/hunter2@db/lodge":                 "/ is %2F",
		"postgres://ada:hunter2@db/lodge?sslmode=maybe":      "write one of disable, allow, prefer, require, verify-ca, verify-full",
		"postgres://ada:hunter2@db/lodge?sslrootcert=/no/ca": "/no/ca",
	} {
		_, err := load(t, "DATABASE_URL="+url, "SECRET="+firstSecret)
		if err == nil || !strings.Contains(err.Error(), "KEYLODGE_DATABASE_URL: ") || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v; want it to say %q", url, err, want)
		}
	}
}

func TestDatabaseURL_UnknownParameter(t *testing.T) {
	url := postgresserver.EmptyDatabase(t) + "&pgbouncer=true"
	config, err := load(t, "DATABASE_URL="+url, "SECRET="+firstSecret, "LISTEN=127.0.0.1:0", "OPS_LISTEN=")
	if err != nil {
		t.Fatal(err)
	}
	const want = "the server knows no parameter pgbouncer: take it out of the URL"
	if err := run(t.Context(), config, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("the start says %v", err)
	}
	if exitCode, stdout, _ := runCommand("doctor"); exitCode != cli.ExitUnhealthy || !strings.Contains(stdout, want) {
		t.Errorf("doctor: exit %d, %s", exitCode, stdout)
	}
	wantCommand(t, "migrate status", cli.ExitFailure, want)
	wantCommand(t, "users list", cli.ExitFailure, want)
}
