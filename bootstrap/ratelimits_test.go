package bootstrap

import (
	"bytes"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/redisserver"
	"github.com/keylodge/keylodge/adapters/cli"
	"github.com/keylodge/keylodge/adapters/metrics"
	"github.com/keylodge/keylodge/adapters/system"
	"github.com/keylodge/keylodge/domain"
)

func TestLoadConfig_RateLimits(t *testing.T) {
	defaults := domain.DefaultRateLimits()
	changed := maps.Clone(defaults)
	changed["login"] = domain.RateLimit{Quota: 600, Window: time.Minute}
	changed["recovery-account"] = domain.RateLimit{Quota: 1, Window: 24 * time.Hour}
	delete(changed, "refresh")
	for setting, want := range map[string]domain.RateLimits{
		"": defaults, "on": defaults, "off": nil, "login=600/1m, recovery-account = 1/24h ,refresh=off": changed,
	} {
		config, err := load(t, "RATE_LIMITS="+setting)
		if err != nil || !maps.Equal(config.RateLimits, want) {
			t.Errorf("%q: %v, %v", setting, config.RateLimits, err)
		}
	}
}

func TestLoadConfig_RejectsInvalidRateLimits(t *testing.T) {
	for setting, c := range map[string]struct{ name, problem, fix string }{
		"RATE_LIMITS=yes":                                    {"RATE_LIMITS", "does not say what it limits", "login=600/1m"},
		"RATE_LIMITS=logins=30/1m":                           {"RATE_LIMITS", `"logins"`, "signup, signup-account, login, login-account, refresh"},
		"RATE_LIMITS=login=30":                               {"RATE_LIMITS", `"30"`, "30/1m"},
		"RATE_LIMITS=login=0/1m":                             {"RATE_LIMITS", `"0/1m"`, "30/1m"},
		"RATE_LIMITS=login=1/1500ms":                         {"RATE_LIMITS", `"1/1500ms"`, "whole seconds"},
		"RATE_LIMITS=login=1/25h":                            {"RATE_LIMITS", `"1/25h"`, "24h"},
		"RATE_LIMITS=login=9999999/s":                        {"RATE_LIMITS", `"9999999/s"`, "1000000"},
		"RATE_LIMIT_URL=http://:hunter2@localhost":           {"RATE_LIMIT_URL", "redis://", "rediss://"},
		"RATE_LIMIT_URL=redis://:hunter2@localhost/zero":     {"RATE_LIMIT_URL", "number of a database", "host:6379/0"},
		"RATE_LIMIT_URL=redis://:hunter2@localhost/hunter2@": {"RATE_LIMIT_URL", "number of a database", "host:6379/0"},
	} {
		_, err := load(t, setting)
		var faults SettingErrors
		if !errors.As(err, &faults) || len(faults) != 1 || faults[0].Setting != "KEYLODGE_"+c.name || !strings.Contains(faults[0].Problem, c.problem) ||
			!strings.Contains(faults[0].Fix, c.fix) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", setting, err)
		}
	}
	if _, err := load(t, "RATE_LIMITS=off", "RATE_LIMIT_URL=redis://localhost"); err == nil || !strings.Contains(err.Error(), "it does nothing") {
		t.Errorf("a Redis without limits: %v", err)
	}
}

// A Redis that is down does not keep people out; one that turns the server away is a mistake in the settings.
func TestOpen_ToleratesRedisDownNotWrongPassword(t *testing.T) {
	redis := redisserver.Start(t)
	wrong, err := url.Parse(redis.URL())
	if err != nil {
		t.Fatal(err)
	}
	wrong.User = url.UserPassword("", "hunter2")
	open := func(url string) (string, error) {
		config, err := load(t, "RATE_LIMIT_URL="+url, "DATABASE_URL=sqlite:"+filepath.Join(t.TempDir(), "keylodge.db"))
		if err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		app, err := Open(config, system.Clock{}, slog.New(slog.NewTextHandler(&log, nil)))
		if err == nil {
			app.Close()
		}
		return log.String(), err
	}
	if log, err := open(redis.URL()); err != nil || strings.Contains(log, "cannot be shared") || strings.Contains(log, redis.Password()) {
		t.Errorf("a right one: %v, %s", err, log)
	}
	if _, err := open(wrong.String()); err == nil || !strings.Contains(err.Error(), "KEYLODGE_RATE_LIMIT_URL") ||
		!strings.Contains(err.Error(), "correct the user and the password") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a wrong password: %v", err)
	}
	redis.Stop()
	if log, err := open(redis.URL()); err != nil || !strings.Contains(log, "cannot be shared yet") || strings.Contains(log, redis.Password()) {
		t.Errorf("one that is down: %v, %s", err, log)
	}
}

func TestLimiterObserver_LogsAndCounts(t *testing.T) {
	var log bytes.Buffer
	meter := metrics.New()
	watch := limiterObserver{slog.New(slog.NewTextHandler(&log, nil)), meter}
	says := func(line string) {
		t.Helper()
		answer := httptest.NewRecorder()
		meter.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		if !strings.Contains(answer.Body.String(), line) {
			t.Errorf("no %q in the metrics", line)
		}
	}
	says("keylodge_rate_limit_store_up 1")
	watch.Unavailable(errors.New("no route"))
	watch.Fallback(true)
	says("keylodge_rate_limit_store_up 0")
	says(`keylodge_rate_limit_fallback_total{outcome="rejected"} 1`)
	watch.Recovered()
	says("keylodge_rate_limit_store_up 1")
	if said := log.String(); !strings.Contains(said, "no route") || strings.Count(said, "\n") != 2 {
		t.Errorf("logged %s", said)
	}
}

func TestDoctor_Redis(t *testing.T) {
	redis := redisserver.Start(t)
	if _, err := load(t, "LISTEN=127.0.0.1:0", "OPS_LISTEN=127.0.0.1:0", "RATE_LIMIT_URL="+redis.URL()); err != nil {
		t.Fatal(err)
	}
	if exitCode, stdout, _ := runCommand("doctor"); exitCode != cli.ExitOK || !strings.Contains(stdout, "counted in Redis at 127.0.0.1") || strings.Contains(stdout, redis.Password()) {
		t.Errorf("exit code %d, %s", exitCode, stdout)
	}
	wrong := strings.Replace(redis.URL(), redis.Password(), "hunter2", 1)
	t.Setenv("KEYLODGE_RATE_LIMIT_URL", wrong)
	if exitCode, stdout, _ := runCommand("doctor"); exitCode != cli.ExitUnhealthy || !strings.Contains(stdout, "correct the user and the password") || strings.Contains(stdout, "hunter2") {
		t.Errorf("exit code %d, %s", exitCode, stdout)
	}
}

func TestSendsPasswordInClear(t *testing.T) {
	for url, want := range map[string]bool{
		"redis://:hunter2@redis.example.org:6379/0":  true,
		"redis://ada:hunter2@10.0.0.7":               true,
		"rediss://:hunter2@redis.example.org:6379/0": false,
		"redis://redis.example.org:6379/0":           false,
		"redis://ada@redis.example.org:6379/0":       false,
		"redis://:hunter2@127.0.0.1:6379/0":          false,
		"redis://:hunter2@[::1]:6379/0":              false,
	} {
		if got := sendsPasswordInClear(url); got != want {
			t.Errorf("%s: %t, want %t", url, got, want)
		}
	}
}
