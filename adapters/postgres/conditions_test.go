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

	"github.com/keylodge/keylodge/acceptance/postgresserver"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// outage is what an operator, a provider or bad luck does to a server beside a store that is open.
type outage struct {
	name       string
	cause, end []string // statements of the operator
	states     []string // SQLSTATEs, one of which the store receives; "" if the store knows without asking
	advice     string
	reads      bool // Views go on
}

// Connections that are there are not touched by most of what an operator changes: they are ended, as by a restart.
const terminateConnections = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'ada'"

var outages = []outage{
	{
		name: "the database takes no connections", states: []string{"55000"}, advice: `ALTER DATABASE "lodge" ALLOW_CONNECTIONS true`,
		cause: []string{"ALTER DATABASE lodge ALLOW_CONNECTIONS false", terminateConnections}, end: []string{"ALTER DATABASE lodge ALLOW_CONNECTIONS true"},
	},
	{
		name: "the database has no room for a connection", states: []string{"53300"}, advice: "CONNECTION LIMIT",
		cause: []string{"ALTER DATABASE lodge CONNECTION LIMIT 0", terminateConnections}, end: []string{"ALTER DATABASE lodge CONNECTION LIMIT -1"},
	},
	{
		name: "the role has no room for a connection", states: []string{"53300"}, advice: "CONNECTION LIMIT",
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
		name: "the role may not connect", states: []string{"42501"}, advice: `GRANT CONNECT ON DATABASE "lodge" TO "ada"`,
		cause: []string{"REVOKE CONNECT ON DATABASE lodge FROM PUBLIC, ada", terminateConnections}, end: []string{"GRANT CONNECT ON DATABASE lodge TO PUBLIC, ada"},
	},
	{
		name: "the database was renamed", states: []string{"3D000"}, advice: "make it first: CREATE DATABASE",
		cause: []string{terminateConnections, "ALTER DATABASE lodge RENAME TO elsewhere"}, end: []string{"ALTER DATABASE elsewhere RENAME TO lodge"},
	},
	{
		name: "the database is set to read only", states: []string{""}, advice: "turn default_transaction_read_only off", reads: true,
		cause: []string{"ALTER DATABASE lodge SET default_transaction_read_only = on", terminateConnections}, end: []string{"ALTER DATABASE lodge RESET default_transaction_read_only"},
	},
	{
		name: "the server is set to read only, and connections go on", states: []string{"25006", ""}, advice: "turn default_transaction_read_only off", reads: true,
		cause: []string{"ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()"},
		end:   []string{"ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_reload_conf()"},
	},
}

// startPasswordServer starts a server with a database lodge that belongs to ada, who needs her password.
func startPasswordServer(t *testing.T) (server *postgresserver.Server, url string) {
	t.Helper()
	server = postgresserver.StartForTest(t)
	execAsOperator(t, server, []string{"CREATE ROLE ada LOGIN PASSWORD 'correcthorse'", "CREATE DATABASE lodge OWNER ada"})
	writeHBA(t, server, "local all keylodge trust\nlocal all all scram-sha-256\n")
	return server, strings.Replace(server.URL("lodge"), "keylodge@", "ada:correcthorse@", 1)
}

// writeHBA says who may connect, and waits until the server knows it.
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

// execAsOperator has the operator run statements, each by itself.
func execAsOperator(t *testing.T, server *postgresserver.Server, statements []string) {
	t.Helper()
	for _, statement := range statements {
		if err := server.Exec("postgres", statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// eventuallyFails writes until that fails: what an operator changes by a reload takes its time.
func eventuallyFails(t *testing.T, s *Store, from int) (err error) {
	t.Helper()
	n := 1000 * from
	eventually(t, func() error {
		n++
		if err = s.Update(t.Context(), func(tx ports.Tx) error { return tx.Challenges.Add(t.Context(), numbered(n)) }); err == nil {
			return errors.New("it still writes")
		}
		return nil
	})
	return err
}

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
				t.Errorf("View: %v; that it reads: want %t", err, o.reads)
			}
			execAsOperator(t, server, o.end)
			eventually(t, func() error { // a reload takes its time
				return s.Update(t.Context(), func(tx ports.Tx) error { return tx.Challenges.Add(t.Context(), numbered(n)) })
			})
		})
	}
}

// A statement_timeout and a lock_timeout may come with the role, the database or the URL.
func TestStore_timeoutsOfTheServer(t *testing.T) {
	for _, c := range []struct{ parameter, state, advice string }{
		{"statement_timeout", "57014", "look at statement_timeout"},
		{"lock_timeout", "55P03", "longer than lock_timeout"},
	} {
		t.Run(c.parameter, func(t *testing.T) {
			url := postgresserver.MigratedDatabase(t, migrateDatabase)
			s, other := openAt(t, url+"&pool_max_conns=1"), connect(t, url)
			add(t, s, 0)
			set := func(value string) { // on the one connection, and only while it has to wait
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
				_, err := tx.Challenges.Take(t.Context(), numberedID(0)) // waits for the other's end
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

// The server ends a transaction in which nothing happens for too long. It begins again, and is an outage if that goes on.
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
	for dawdles := range maxLosses + 2 {
		runs := 0
		err := s.Update(t.Context(), func(tx ports.Tx) error {
			if runs++; runs <= dawdles {
				if err := exec(t.Context(), latest, "SET LOCAL idle_in_transaction_session_timeout = 1"); err != nil {
					t.Error(err)
				}
				awaitNoConnection(t, operator, "idler")
			}
			return tx.Challenges.Add(t.Context(), numbered(dawdles))
		})
		switch {
		case dawdles <= maxLosses && (err != nil || runs != dawdles+1):
			t.Errorf("idle %d times: %d runs, %v", dawdles, runs, err)
		case dawdles > maxLosses && (!errors.Is(err, domain.ErrUnavailable) ||
			// What the server said last may be lost with the connection.
			!strings.Contains(err.Error(), "log says") && !strings.Contains(err.Error(), "raise it for this role")):
			t.Errorf("idle %d times: %v", dawdles, err)
		}
	}
}

// The server ends idle connections of the pool. No caller sees that, however many come at once afterwards.
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
		left := queryColumn(t, operator, "SELECT pid::text FROM pg_stat_activity WHERE application_name = '"+application+"'")
		if len(left) > 0 {
			return fmt.Errorf("still connected: %v", left)
		}
		return nil
	})
}

func TestStore_droppedDatabase(t *testing.T) {
	server, url := startPasswordServer(t)
	s := openAt(t, url)
	add(t, s, 0)
	execAsOperator(t, server, []string{"DROP DATABASE lodge WITH (FORCE)"})
	wantUnavailable(t, s)
}

// What a role may do is an outage, and what another program did to the tables is a fault, of which the log says more.
func TestStore_privilegesAndTables(t *testing.T) {
	server, url := startPasswordServer(t)
	s := openAt(t, url)
	add(t, s, 0)
	for _, c := range []struct {
		cause, end, state, advice string
		outage                    bool
	}{
		{"REVOKE INSERT ON webauthn_challenges FROM ada", "GRANT INSERT ON webauthn_challenges TO ada", "42501", "SELECT, INSERT, UPDATE and DELETE on its tables", true},
		{"ALTER TABLE webauthn_challenges RENAME TO elsewhere", "ALTER TABLE elsewhere RENAME TO webauthn_challenges", "42P01", "a table is missing", false},
		{"ALTER TABLE webauthn_challenges RENAME COLUMN purpose TO elsewhere", "ALTER TABLE webauthn_challenges RENAME COLUMN elsewhere TO purpose", "42703", "the schema was changed by another program", false},
	} {
		if err := server.Exec("lodge", c.cause); err != nil {
			t.Fatal(err)
		}
		err := s.Update(t.Context(), func(tx ports.Tx) error { return tx.Challenges.Add(t.Context(), numbered(1)) })
		if stateOf(err) != c.state || errors.Is(err, domain.ErrUnavailable) != c.outage || !strings.Contains(err.Error(), c.advice) {
			t.Errorf("%s: %v; want SQLSTATE %s, %q, and that it is an outage: %t", c.cause, err, c.state, c.advice, c.outage)
		}
		if err := server.Exec("lodge", c.end); err != nil {
			t.Fatal(err)
		}
	}
	add(t, s, 1)
}

// A column that another program retypes makes what was prepared before it useless, once.
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
