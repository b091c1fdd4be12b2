package postgres

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keylodge/keylodge/acceptance/testkit/postgresserver"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
	"github.com/keylodge/keylodge/ports/bucketstest"
	"github.com/keylodge/keylodge/ports/dbadmin"
	"github.com/keylodge/keylodge/ports/storetest"
)

// Requirement: Durability-concurrency
func TestStore_contractBehindPgBouncer(t *testing.T) {
	for _, mode := range []string{"transaction", "session"} {
		t.Run(mode, func(t *testing.T) {
			// In session mode every connection of a server keeps one of PgBouncer's.
			pooler := postgresserver.StartPooler(t, postgresserver.MigratedDatabase(t, migrateDatabase), mode, fmt.Sprint("default_pool_size = ", 2*maxConnections+2))
			storetest.Run(t, reuse(t, pooler.URL(postgresserver.MigratedDatabase(t, migrateDatabase))))
			bucketstest.Run(t, func(t *testing.T) bucketstest.Pair {
				url := pooler.URL(postgresserver.MigratedDatabase(t, migrateDatabase))
				return bucketstest.Pair{First: openAt(t, url).Buckets(), Second: openAt(t, url).Buckets(), Wait: time.Sleep}
			})
		})
	}
}

// The URL may choose the query mode. Modes with named statements work behind a pooler that does not support them, too.
func TestStore_queryModesBehindPgBouncer(t *testing.T) {
	pooler := postgresserver.StartPooler(t, postgresserver.MigratedDatabase(t, migrateDatabase), "transaction")
	for _, parameters := range []string{
		"default_query_exec_mode=cache_statement", "default_query_exec_mode=cache_describe", "default_query_exec_mode=describe_exec",
		"default_query_exec_mode=exec", "default_query_exec_mode=simple_protocol", "statement_cache_capacity=0",
	} {
		t.Run(parameters, func(t *testing.T) {
			url := postgresserver.MigratedDatabase(t, migrateDatabase)
			s := openAt(t, pooler.URL(url)+"&"+parameters)
			const callers = 64
			var all sync.WaitGroup
			for i := range callers {
				all.Go(func() {
					if err := s.Update(t.Context(), func(tx ports.Tx) error { return tx.Challenges.Add(t.Context(), numbered(i)) }); err != nil {
						t.Errorf("Add %d: %v", i, err)
					}
					if err := s.View(t.Context(), func(tx ports.Tx) error {
						_, err := tx.Challenges.ByID(t.Context(), numberedID(i))
						return err
					}); err != nil {
						t.Errorf("ByID %d: %v", i, err)
					}
					limit := domain.RateLimit{Quota: 1, Window: time.Hour}
					states, err := s.Buckets().Take(t.Context(), domain.Bucket{Subject: domain.RateSubject{byte(i)}, Limit: limit})
					if err != nil || !states[0].Allowed {
						t.Errorf("Buckets.Take %d: %+v, %v", i, states, err)
					}
				})
			}
			all.Wait()
			wantChallenges(t, s, callers)
		})
	}
}

// Both modes send arguments as text, which every statement must accept.
func TestStore_contractInTextModes(t *testing.T) {
	for _, mode := range []string{"exec", "simple_protocol"} {
		t.Run(mode, func(t *testing.T) {
			storetest.Run(t, reuse(t, postgresserver.MigratedDatabase(t, migrateDatabase)+"&default_query_exec_mode="+mode))
		})
	}
}

func TestStore_preparesStatementsOnADirectConnectionOnly(t *testing.T) {
	direct := postgresserver.MigratedDatabase(t, migrateDatabase)
	pooler := postgresserver.StartPooler(t, direct, "session")
	for _, c := range []struct {
		name, url string
		prepares  bool
	}{
		{"direct", direct, true},
		{"behind a pooler", pooler.URL(direct), false},
		{"behind a pooler, requested by the URL", pooler.URL(direct) + "&default_query_exec_mode=cache_statement", true},
		{"direct, without a cache", direct + "&statement_cache_capacity=0", false},
	} {
		s := openAt(t, c.url)
		if err := s.View(t.Context(), func(tx ports.Tx) error {
			_, err := tx.Challenges.ByID(t.Context(), numberedID(0))
			return err
		}); !errors.Is(err, domain.ErrChallengeNotFound) {
			t.Fatal(err)
		}
		conn, err := s.pool.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var prepared int
		err = conn.QueryRow(t.Context(), "SELECT count(*) FROM pg_prepared_statements WHERE name <> ''", pgx.QueryExecModeExec).Scan(&prepared)
		conn.Release()
		if err != nil || prepared > 0 != c.prepares {
			t.Errorf("%s: %d statements are prepared, %v", c.name, prepared, err)
		}
	}
}

func TestOpen_behindPgBouncerInStatementMode(t *testing.T) {
	for name, url := range map[string]string{"migrated": postgresserver.MigratedDatabase(t, migrateDatabase), "empty": postgresserver.EmptyDatabase(t)} {
		pooler := postgresserver.StartPooler(t, url, "statement")
		s, err := Open(t.Context(), pooler.URL(url))
		if err == nil {
			t.Errorf("%s: Open succeeded; Close: %v", name, s.Close())
			continue
		}
		if !strings.Contains(err.Error(), "set PgBouncer's pool_mode to transaction or session") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Four servers start at the same time on an empty database. Each has one transaction, and the one that upgrades has two.
func TestOpen_upgradesBehindPgBouncer(t *testing.T) {
	url := postgresserver.EmptyDatabase(t)
	pooler := postgresserver.StartPooler(t, url, "transaction", "default_pool_size = 5", "query_wait_timeout = 300")
	if empty, err := IsEmpty(t.Context(), pooler.URL(url)); err != nil || !empty {
		t.Errorf("IsEmpty: %t, %v", empty, err)
	}
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			s, err := Open(t.Context(), pooler.URL(url))
			if err != nil {
				t.Errorf("server %d: %v", i, err)
				return
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	database := NewDatabase(pooler.URL(url))
	status, err := database.Status(t.Context())
	if err != nil || !status[len(status)-1].Applied {
		t.Errorf("Status: %+v, %v", status, err)
	}
	var rejected *domain.Error
	if _, err := database.Down(t.Context()); !errors.As(err, &rejected) || rejected.Code != "behind_pooler" {
		t.Errorf("Down: %v", err)
	}
	if results := database.Inspect(t.Context(), time.Now(), dbadmin.CheckOptions{}); !strings.Contains(fmt.Sprint(results), "a pooler such as PgBouncer is in front of it") || results.HasErrors() {
		t.Errorf("Inspect: %+v", results)
	}
	if results := NewDatabase(url).Inspect(t.Context(), time.Now(), dbadmin.CheckOptions{}); !strings.Contains(fmt.Sprint(results), "no pooler is in front of it") {
		t.Errorf("Inspect without a pooler: %+v", results)
	}
}

func TestOpen_adviceOnPgBouncerErrors(t *testing.T) {
	direct := postgresserver.MigratedDatabase(t, migrateDatabase)
	pooler := postgresserver.StartPooler(t, direct, "transaction", "max_client_conn = 1", "query_wait_timeout = 1")
	url := pooler.URL(direct)
	wantAdvice := func(name, url, want string) {
		t.Helper()
		s, err := Open(t.Context(), url)
		if err == nil {
			t.Errorf("%s: Open succeeded; Close: %v", name, s.Close())
			return
		}
		if !strings.Contains(err.Error(), want) || !errors.Is(err, domain.ErrUnavailable) {
			t.Errorf("%s: %v; want it to contain %q", name, err, want)
		}
	}
	wantAdvice("a parameter", url+"&search_path=public", "PgBouncer rejects the parameter search_path: remove it from the URL")
	wantAdvice("an unknown parameter", url+"&pgbouncer=true", "PgBouncer rejects the parameter pgbouncer: remove it from the URL")
	wantAdvice("a user", strings.Replace(url, "keylodge@", "ben@", 1), "correct the user or the password in the URL")
	wantAdvice("a database", strings.Replace(url, "/test", "/none", 1), "create the database none")
	other := connect(t, url)
	wantAdvice("connections", url, "raise PgBouncer's max_client_conn")
	if err := other.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}
