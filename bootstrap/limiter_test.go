package bootstrap

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/acceptance/redisserver"
	"github.com/keylodge/keylodge/adapters/metrics"
	"github.com/keylodge/keylodge/adapters/system"
)

// A Redis that is down does not keep people out; one that turns the server away is a mistake in the settings.
func TestOpen_ToleratesRedisDownNotWrongPassword(t *testing.T) {
	redis := redisserver.Start(t)
	wrong, err := url.Parse(redis.URL())
	if err != nil {
		t.Fatal(err)
	}
	wrong.User = url.UserPassword("", "hunter2")
	open := func(url string) (string, error) {
		cfg, err := load(t, "RATE_LIMIT_URL="+url, "DATABASE_URL=sqlite:"+filepath.Join(t.TempDir(), "keylodge.db"))
		if err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		app, err := Open(cfg, system.Clock{}, slog.New(slog.NewTextHandler(&log, nil)))
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
