package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/keylodge/keylodge/acceptance/testkit/postgresserver"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// outage is a failure that an operator or provider causes while a store is open.
type outage struct {
	name       string
	cause, end []string // statements of the operator
	states     []string // SQLSTATEs, one of which the store receives; "" if the store detects it before a statement
	advice     string
	reads      bool // Views still work
}

// terminateConnections ends the existing connections, which most changes of an operator do not affect.
const terminateConnections = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'ada'"

var outages = []outage{
	{
		name: "the database accepts no connections", states: []string{"55000"}, advice: `ALTER DATABASE "app" ALLOW_CONNECTIONS true`,
		cause: []string{"ALTER DATABASE app ALLOW_CONNECTIONS false", terminateConnections}, end: []string{"ALTER DATABASE app ALLOW_CONNECTIONS true"},
	},
	{
		name: "the database's connection limit is reached", states: []string{"53300"}, advice: "CONNECTION LIMIT",
		cause: []string{"ALTER DATABASE app CONNECTION LIMIT 0", terminateConnections}, end: []string{"ALTER DATABASE app CONNECTION LIMIT -1"},
	},
	{
		name: "the role's connection limit is reached", states: []string{"53300"}, advice: "CONNECTION LIMIT",
		cause: []string{"ALTER ROLE ada CONNECTION LIMIT 0", terminateConnections}, end: []string{"ALTER ROLE ada CONNECTION LIMIT -1"},
	},
	{
		name: "the password was changed", states: []string{"28P01"}, advice: "correct the user or the password",
		cause: []string{"ALTER ROLE ada PASSWORD 'another'", terminateConnections}, end: []string{"ALTER ROLE ada PASSWORD 'correcthorse'"},
	},
	{
		name: "the password has expired", states: []string{"28P01"}, advice: "VALID UNTIL",
		cause: []string{"ALTER ROLE ada VALID UNTIL '2020-01-01'", terminateConnections}, end: []string{"ALTER ROLE ada VALID UNTIL 'infinity'"},
	},
	{
		name: "the role may not log in", states: []string{"28000"}, advice: `ALTER ROLE "ada" LOGIN`,
		cause: []string{"ALTER ROLE ada NOLOGIN", terminateConnections}, end: []string{"ALTER ROLE ada LOGIN"},
	},
	{
		name: "the role may not connect", states: []string{"42501"}, advice: `GRANT CONNECT ON DATABASE "app" TO "ada"`,
		cause: []string{"REVOKE CONNECT ON DATABASE app FROM PUBLIC, ada", terminateConnections}, end: []string{"GRANT CONNECT ON DATABASE app TO PUBLIC, ada"},
	},
	{
		name: "the database was renamed", states: []string{"3D000"}, advice: "create the database: CREATE DATABASE",
		cause: []string{terminateConnections, "ALTER DATABASE app RENAME TO renamed"}, end: []string{"ALTER DATABASE renamed RENAME TO app"},
	},
	{
		name: "the database is read-only", states: []string{""}, advice: "turn default_transaction_read_only off", reads: true,
		cause: []string{"ALTER DATABASE app SET default_transaction_read_only = on", terminateConnections}, end: []string{"ALTER DATABASE app RESET default_transaction_read_only"},
	},
	{
		name: "the server becomes read-only while connections are open", states: []string{"25006", ""}, advice: "turn default_transaction_read_only off", reads: true,
		cause: []string{"ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()"},
		end:   []string{"ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_reload_conf()"},
	},
}

// startPasswordServer starts a server with a database app of the role ada, which needs a password.
func startPasswordServer(t *testing.T) (server *postgresserver.Server, url string) {
	t.Helper()
	server = postgresserver.StartForTest(t)
	execAsOperator(t, server, []string{"CREATE ROLE ada LOGIN PASSWORD 'correcthorse'", "CREATE DATABASE app OWNER ada"})
	writeHBA(t, server, "local all keylodge trust\nlocal all all scram-sha-256\n")
	return server, strings.Replace(server.URL("app"), "keylodge@", "ada:correcthorse@", 1)
}

// writeHBA replaces pg_hba.conf and waits until the server has read it.
func writeHBA(t *testing.T, server *postgresserver.Server, lines string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(server.Data(), "pg_hba.conf"), []byte(lines), 0o644); err != nil {
		t.Fatal(err)
	}
	var before string
	operator := connect(t, server.URL("postgres"))
	before = queryColumn(t, operator, "SELECT pg_conf_load_time()::text")[0]
	execAsOperator(t, server, []string{"SELECT pg_reload_conf()"})
	eventually(t, func() error {
		if after := queryColumn(t, operator, "SELECT pg_conf_load_time()::text")[0]; after == before {
			return errors.New("pg_hba.conf has not been read")
		}
		return nil
	})
}

// execAsOperator runs each statement in a transaction of its own as the operator.
func execAsOperator(t *testing.T, server *postgresserver.Server, statements []string) {
	t.Helper()
	for _, statement := range statements {
		if err := server.Exec("postgres", statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// eventuallyFails writes until a write fails, since a reload of the server's configuration takes time.
func eventuallyFails(t *testing.T, s *Store, from int) (err error) {
	t.Helper()
	n := 1000 * from
	eventually(t, func() error {
		n++
		if err = s.Update(t.Context(), func(tx ports.Tx) error { return tx.Challenges.Add(t.Context(), numbered(n)) }); err == nil {
			return errors.New("the write succeeded")
		}
		return nil
	})
	return err
}

// Requirement: Durability-outages
func TestStore_outagesOfARealServer(t *testing.T) {
	server, url := startPasswordServer(t)
	s := openAt(t, url)
	add(t, s, 0)
	for i, o := range outages {
		t.Run(o.name, func(t *testing.T) {
			execAsOperator(t, server, o.cause)
			n := i + 1
			err := eventuallyFails(t, s, n)
			if !errors.Is(err, domain.ErrUnavailable) || !slices.Contains(o.states, stateOf(err)) || !strings.Contains(err.Error(), o.advice) {
				t.Errorf("Update: %v (SQLSTATE %q); want an outage with a SQLSTATE of %q that says %q", err, stateOf(err), o.states, o.advice)
			}
			if strings.Contains(fmt.Sprint(err), "correcthorse") {
				t.Errorf("the password is in: %v", err)
			}
			err = s.View(t.Context(), func(tx ports.Tx) error {
				_, err := tx.Challenges.ByID(t.Context(), numberedID(0))
				return err
			})
			if (err == nil) != o.reads || err != nil && !errors.Is(err, domain.ErrUnavailable) {
				t.Errorf("View: error %v; want that it reads: %t", err, o.reads)
			}
			execAsOperator(t, server, o.end)
			eventually(t, func() error { // a reload takes time
				return s.Update(t.Context(), func(tx ports.Tx) error { return tx.Challenges.Add(t.Context(), numbered(n)) })
			})
		})
	}
}

// The role, the database or the URL may set statement_timeout and lock_timeout.
func TestStore_timeoutsOfTheServer(t *testing.T) {
	for _, c := range []struct{ parameter, state, advice string }{
		{"statement_timeout", "57014", "check statement_timeout"},
		{"lock_timeout", "55P03", "longer than lock_timeout"},
	} {
		t.Run(c.parameter, func(t *testing.T) {
			url := postgresserver.MigratedDatabase(t, migrateDatabase)
			s, other := openAt(t, url+"&pool_max_conns=1"), connect(t, url)
			add(t, s, 0)
			set := func(value string) { // on the only connection
				t.Helper()
				if _, err := s.pool.Exec(t.Context(), "SET "+c.parameter+" = "+value); err != nil {
					t.Fatal(err)
				}
			}
			set("100")
			if err := exec(t.Context(), other, "BEGIN; DELETE FROM webauthn_challenges"); err != nil {
				t.Fatal(err)
			}
			err := s.Update(t.Context(), func(tx ports.Tx) error {
				err := tx.Challenges.Consume(t.Context(), numberedID(0)) // waits for the other transaction
				return err
			})
			if !errors.Is(err, domain.ErrUnavailable) || stateOf(err) != c.state || !strings.Contains(err.Error(), c.advice) {
				t.Errorf("got %v; want an outage of SQLSTATE %s that says %q", err, c.state, c.advice)
			}
			if err := exec(t.Context(), other, "ROLLBACK"); err != nil {
				t.Fatal(err)
			}
			set("0")
			take(t, s, 0)
		})
	}
}

// The server ends a transaction that is idle for too long. Update retries it, and returns an outage after too many times.
func TestStore_idleInTransactionSessionTimeout(t *testing.T) {
	url := postgresserver.MigratedDatabase(t, migrateDatabase)
	config, err := parse(url + "&pool_max_conns=1&application_name=idler")
	if err != nil {
		t.Fatal(err)
	}
	var latest *pgx.Conn
	config.AfterConnect = func(_ context.Context, conn *pgx.Conn) error { latest = conn; return nil }
	s, err := open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	operator := connect(t, url)
	for idleRuns := range maxLostConnections + 2 {
		runs := 0
		err := s.Update(t.Context(), func(tx ports.Tx) error {
			if err := readNothing(tx); err != nil { // begins the transaction
				return err
			}
			if runs++; runs <= idleRuns {
				if err := exec(t.Context(), latest, "SET LOCAL idle_in_transaction_session_timeout = 1"); err != nil {
					t.Error(err)
				}
				awaitNoConnection(t, operator, "idler")
			}
			return tx.Challenges.Add(t.Context(), numbered(1+idleRuns))
		})
		switch {
		case idleRuns <= maxLostConnections && (err != nil || runs != idleRuns+1):
			t.Errorf("idle %d times: %d runs, %v", idleRuns, runs, err)
		case idleRuns > maxLostConnections && (!errors.Is(err, domain.ErrUnavailable) ||
			// The server's last message may be lost with the connection.
			!strings.Contains(err.Error(), "read its log") && !strings.Contains(err.Error(), "raise it for this role")):
			t.Errorf("idle %d times: %v", idleRuns, err)
		}
	}
}

// The server ends idle connections of the pool. No call fails after that, even if several come at once.
func TestStore_idleSessionTimeout(t *testing.T) {
	url := postgresserver.MigratedDatabase(t, migrateDatabase)
	s, operator := openAt(t, url+"&application_name=idler"), connect(t, url)
	for round := range 3 {
		occupyConnections(t, s, 8)
		for _, idle := range s.pool.AcquireAllIdle(t.Context()) {
			if _, err := idle.Exec(t.Context(), "SET idle_session_timeout = 1"); err != nil {
				t.Error(err)
			}
			idle.Release()
		}
		awaitNoConnection(t, operator, "idler")
		add(t, s, round)
		if _, err := s.Buckets().Take(t.Context()); err != nil {
			t.Error(err)
		}
	}
	wantChallenges(t, s, 3)
}

func awaitNoConnection(t *testing.T, operator *pgx.Conn, application string) {
	t.Helper()
	eventually(t, func() error {
		pids := queryColumn(t, operator, "SELECT pid::text FROM pg_stat_activity WHERE application_name = '"+application+"'")
		if len(pids) > 0 {
			return fmt.Errorf("still connected: %v", pids)
		}
		return nil
	})
}

func TestStore_droppedDatabase(t *testing.T) {
	t.Parallel()
	server, url := startPasswordServer(t)
	s := openAt(t, url)
	add(t, s, 0)
	execAsOperator(t, server, []string{"DROP DATABASE app WITH (FORCE)"})
	wantUnavailable(t, s)
}

// A missing privilege is an outage. A change of the tables by another program is an error with advice.
func TestStore_privilegesAndTables(t *testing.T) {
	t.Parallel()
	server, url := startPasswordServer(t)
	s := openAt(t, url)
	add(t, s, 0)
	for _, c := range []struct {
		cause, end, state, advice string
		outage                    bool
	}{
		{"REVOKE INSERT ON webauthn_challenges FROM ada", "GRANT INSERT ON webauthn_challenges TO ada", "42501", "SELECT, INSERT, UPDATE and DELETE on its tables", true},
		{"ALTER TABLE webauthn_challenges RENAME TO renamed", "ALTER TABLE renamed RENAME TO webauthn_challenges", "42P01", "a table is missing", false},
		{"ALTER TABLE webauthn_challenges RENAME COLUMN purpose TO renamed", "ALTER TABLE webauthn_challenges RENAME COLUMN renamed TO purpose", "42703", "the schema was changed by another program", false},
	} {
		if err := server.Exec("app", c.cause); err != nil {
			t.Fatal(err)
		}
		err := s.Update(t.Context(), func(tx ports.Tx) error { return tx.Challenges.Add(t.Context(), numbered(1)) })
		if stateOf(err) != c.state || errors.Is(err, domain.ErrUnavailable) != c.outage || !strings.Contains(err.Error(), c.advice) {
			t.Errorf("%s: %v; want SQLSTATE %s, %q, and that it is an outage: %t", c.cause, err, c.state, c.advice, c.outage)
		}
		if err := server.Exec("app", c.end); err != nil {
			t.Fatal(err)
		}
	}
	add(t, s, 1)
}

// After another program has changed a column's type, each prepared statement fails once and is retried.
func TestStore_retriesAfterTableChange(t *testing.T) {
	url := postgresserver.EmptyDatabase(t)
	s, operator := openAt(t, url), connect(t, url)
	read := func() error {
		return s.View(t.Context(), func(tx ports.Tx) error {
			_, err := tx.SigningKeys.All(t.Context())
			return err
		})
	}
	if err := read(); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"varchar(200)", "text"} {
		if err := exec(t.Context(), operator, "ALTER TABLE signing_keys ALTER COLUMN algorithm TYPE "+kind); err != nil {
			t.Fatal(err)
		}
		if err := read(); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
}
