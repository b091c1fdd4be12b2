package acceptance

import (
	"database/sql"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "github.com/ncruces/go-sqlite3/driver"

	"github.com/keylodge/keylodge/acceptance/testkit/inprocess"
	"github.com/keylodge/keylodge/bootstrap/config"
	"github.com/keylodge/keylodge/domain"
)

// inspectedServer is a server whose database and metrics the test reads.
type inspectedServer struct {
	*server
	metrics    string
	db         *sql.DB
	tableQuery string // returns the names of all tables
}

func inspectedServers() map[string]func(*testing.T, func(*config.Config)) *inspectedServer {
	return map[string]func(*testing.T, func(*config.Config)) *inspectedServer{
		"SQLite": func(t *testing.T, configure func(*config.Config)) *inspectedServer {
			path := t.TempDir() + "/keylodge.db"
			s := startServer(t, newClock(), func(c *config.Config) {
				c.Database = config.SQLite(path)
				if configure != nil {
					configure(c)
				}
			})
			return inspect(t, s, "sqlite3", "file:"+path+"?mode=ro&_pragma=busy_timeout(60000)", "SELECT name FROM sqlite_master WHERE type = 'table'")
		},
		"PostgreSQL": func(t *testing.T, configure func(*config.Config)) *inspectedServer {
			url := postgresURL(t)
			s := startServer(t, newClock(), func(c *config.Config) {
				c.Database = config.Postgres(url)
				if configure != nil {
					configure(c)
				}
			})
			return inspect(t, s, "pgx", url, "SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()")
		},
	}
}

func inspect(t *testing.T, s *server, driver, source, tables string) *inspectedServer {
	t.Helper()
	rows, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := rows.Close(); err != nil {
			t.Error(err)
		}
	})
	listener := inprocess.Listen(t, "127.0.0.1:0")
	t.Cleanup(s.app.ServeOperations(listener))
	return &inspectedServer{s, "http://" + listener.Addr().String() + "/metrics", rows, tables}
}

// countRows returns the number of rows of each table, except events, which countEvents counts, and job_leases, which the server's
// jobs write at any time.
func (s *inspectedServer) countRows(t *testing.T) map[string]int {
	t.Helper()
	names, err := s.db.QueryContext(t.Context(), s.tableQuery)
	if err != nil {
		t.Fatal(err)
	}
	defer names.Close()
	var tables []string
	for names.Next() {
		var name string
		if err := names.Scan(&name); err != nil {
			t.Fatal(err)
		}
		if name != "events" && name != "job_leases" {
			tables = append(tables, name)
		}
	}
	if err := names.Err(); err != nil || len(tables) < 5 {
		t.Fatalf("tables %q, %v", tables, err)
	}
	selects := make([]string, len(tables))
	for i, table := range tables {
		selects[i] = "SELECT '" + table + "', count(*) FROM " + table
	}
	counted, err := s.db.QueryContext(t.Context(), strings.Join(selects, " UNION ALL "))
	if err != nil {
		t.Fatal(err)
	}
	defer counted.Close()
	counts := map[string]int{}
	for counted.Next() {
		var table string
		var n int
		if err := counted.Scan(&table, &n); err != nil {
			t.Fatal(err)
		}
		counts[table] = n
	}
	if err := counted.Err(); err != nil || len(counts) != len(tables) {
		t.Fatalf("counted %v, %v", counts, err)
	}
	return counts
}

func (s *inspectedServer) countEvents(t *testing.T, reason domain.Reason) int {
	t.Helper()
	return s.count(t, "SELECT count(*) FROM events WHERE kind LIKE '%refused' AND reason = '"+string(reason)+"'")
}

func (s *inspectedServer) count(t *testing.T, query string) (n int) {
	t.Helper()
	if err := s.db.QueryRowContext(t.Context(), query).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

// metricsText returns the response of /metrics.
func (s *inspectedServer) metricsText(t *testing.T) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.metrics, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// rejections returns the value of each reason's counter.
func (s *inspectedServer) rejections(t *testing.T) map[domain.Reason]string {
	t.Helper()
	text := s.metricsText(t)
	counters := map[domain.Reason]string{}
	for _, reason := range domain.Reasons {
		_, after, found := strings.Cut(text, fmt.Sprintf("keylodge_ceremonies_rejected_total{reason=%q} ", reason))
		if !found {
			t.Fatalf("the metrics have no counter for the reason %s", reason)
		}
		counters[reason], _, _ = strings.Cut(after, "\n")
	}
	return counters
}
