package config

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/acceptance/testkit/settings"
)

func TestLoad_PostgresRequiresSecret(t *testing.T) {
	for _, scheme := range []string{"postgres", "postgresql"} {
		const url = "://ada:hunter2@db:5433/keylodge"
		_, err := load(t, "DATABASE_URL="+scheme+url)
		if err == nil || !strings.Contains(err.Error(), "KEYLODGE_SECRET") || !strings.Contains(err.Error(), "openssl rand") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("without a secret: %v", err)
		}
		config, err := load(t, "DATABASE_URL="+scheme+url, "SECRET="+settings.FirstSecret)
		if err != nil || config.Database != Postgres(scheme+url) {
			t.Errorf("with a secret: %v, %v", config.Database, err)
		}
	}
}

func TestDatabase_PrintsNoPassword(t *testing.T) {
	for _, url := range []string{
		"postgres://ada:hunter2@db:5433/accounts", "postgres://ada@db:5433/accounts?password=hunter2", "postgres://ada:hunter2@db:5433/accounts?sslmode=odd",
		"postgres://ada:hunter2%zz@db:5433/accounts",
	} {
		config := Config{Database: Postgres(url)}
		var log bytes.Buffer
		slog.New(slog.NewJSONHandler(&log, nil)).Info("", slog.Any("database", config.Database), slog.Any("config", config))
		_, err := load(t, "DATABASE_URL="+url, "SECRET="+settings.FirstSecret)
		for _, printed := range []string{fmt.Sprint(config), fmt.Sprintf("%+v", config), fmt.Sprintf("%#v", config), log.String(), fmt.Sprint(err)} {
			if strings.Contains(printed, "hunter2") {
				t.Errorf("the password is in %s", printed)
			}
		}
	}
	if got := Postgres("postgres://ada:hunter2@db:5433/accounts").String(); got != "accounts at db:5433 as user ada" {
		t.Errorf("got %q", got)
	}
}

func TestLoad_RejectsInvalidDatabaseURLs(t *testing.T) {
	for url, want := range map[string]string{
		"postgres://ada:12#hunter2@db/accounts":                 "# is %23",
		"postgres://ada:12/hunter2@db/accounts":                 "/ is %2F",
		"postgres://ada:hunter2@db/accounts?sslmode=maybe":      "write one of disable, allow, prefer, require, verify-ca, verify-full",
		"postgres://ada:hunter2@db/accounts?sslrootcert=/no/ca": "/no/ca",
	} {
		_, err := load(t, "DATABASE_URL="+url, "SECRET="+settings.FirstSecret)
		if err == nil || !strings.Contains(err.Error(), "KEYLODGE_DATABASE_URL: ") || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v, want %q", url, err, want)
		}
	}
}
