package acceptance

import (
	"net/http"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/acceptance/testkit/postgresserver"
	"github.com/keylodge/keylodge/bootstrap/config"
)

// An operator closes the database to connections, and then to writes. A request that needs it returns 503, and the log says
// what to do.
// Requirement: Durability-outages
func TestOutage_UnreachableDatabaseIs503(t *testing.T) {
	t.Parallel()
	server := postgresserver.StartForTest(t)
	operator := func(statements ...string) {
		t.Helper()
		for _, statement := range statements {
			if err := server.Exec("postgres", statement); err != nil {
				t.Fatal(err)
			}
		}
	}
	operator("CREATE ROLE ada LOGIN", "CREATE DATABASE users OWNER ada")
	url := strings.Replace(server.URL("users"), "keylodge@", "ada@", 1)
	s := startServer(t, newClock(), func(c *config.Config) { c.Database = config.Postgres(url) })
	ask := func(status int) {
		t.Helper()
		for _, call := range []struct{ method, path, body string }{
			{http.MethodGet, "/readyz", ""},
			{http.MethodPost, "/v1/login/options", "{}"},
			{http.MethodPost, "/v1/signup/options", `{"display_name":"Ada"}`},
		} {
			response := s.send(t, call.method, call.path, call.body)
			if status == http.StatusOK {
				if response.StatusCode != status {
					t.Errorf("%s: %d %s", call.path, response.StatusCode, response.Body)
				}
				continue
			}
			response.requireProblem(t, status, "unavailable")
			if response.Header.Get("Retry-After") == "" {
				t.Errorf("%s: no Retry-After", call.path)
			}
		}
	}
	ask(http.StatusOK)
	operator("ALTER DATABASE users ALLOW_CONNECTIONS false", "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'ada'")
	ask(http.StatusServiceUnavailable)
	const advice = `allow connections to the database: ALTER DATABASE`
	if log := s.textLog.text(); !strings.Contains(log, advice) || !strings.Contains(log, "SQLSTATE 55000") {
		t.Errorf("the log does not have the advice %q", advice)
	}
	operator("ALTER DATABASE users ALLOW_CONNECTIONS true")
	ask(http.StatusOK)

	operator("ALTER DATABASE users SET default_transaction_read_only = on", "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'ada'")
	ask(http.StatusServiceUnavailable)
	operator("ALTER DATABASE users RESET default_transaction_read_only")
	ask(http.StatusOK)
}
