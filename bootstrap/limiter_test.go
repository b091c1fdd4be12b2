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

	"github.com/keylodge/keylodge/acceptance/testkit/redisserver"
	"github.com/keylodge/keylodge/adapters/metrics"
	"github.com/keylodge/keylodge/adapters/system"
)

// The server starts without Redis, which may come back. A wrong password is an invalid setting.
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
	if log, err := open(redis.URL()); err != nil || strings.Contains(log, "unavailable at startup") || strings.Contains(log, redis.Password()) {
		t.Errorf("right password: %v, %s", err, log)
	}
	if _, err := open(wrong.String()); err == nil || !strings.Contains(err.Error(), "KEYLODGE_RATE_LIMIT_URL") ||
		!strings.Contains(err.Error(), "correct the user and the password") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("wrong password: %v", err)
	}
	redis.Stop()
	if log, err := open(redis.URL()); err != nil || !strings.Contains(log, "unavailable at startup") || strings.Contains(log, redis.Password()) {
		t.Errorf("stopped server: %v, %s", err, log)
	}
}

func TestLimiterObserver_LogsAndCounts(t *testing.T) {
	var log bytes.Buffer
	meter := metrics.New()
	observer := limiterObserver{slog.New(slog.NewTextHandler(&log, nil)), meter}
	wantMetric := func(line string) {
		t.Helper()
		response := httptest.NewRecorder()
		meter.Handler().ServeHTTP(response, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		if !strings.Contains(response.Body.String(), line) {
			t.Errorf("no %q in the metrics", line)
		}
	}
	wantMetric("keylodge_rate_limit_store_up 1")
	observer.Unavailable(errors.New("no route"))
	observer.Fallback(true)
	wantMetric("keylodge_rate_limit_store_up 0")
	wantMetric(`keylodge_rate_limit_fallback_total{outcome="rejected"} 1`)
	observer.Recovered()
	wantMetric("keylodge_rate_limit_store_up 1")
	if text := log.String(); !strings.Contains(text, "no route") || strings.Count(text, "\n") != 2 {
		t.Errorf("logged %s", text)
	}
}
