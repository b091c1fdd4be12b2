package postgresserver

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keylodge/keylodge/acceptance/testkit/require"
)

// shared is the server of this test process. The first test that needs it starts it.
var shared = sync.OnceValues(func() (*Server, error) { return Start() })

var (
	databases atomic.Int64 // created so far
	template  struct {
		sync.Once
		err error
	}
	// freeDatabases are copies of the template that tests no longer use. Emptying a copy is about 100 times faster than creating
	// one.
	freeDatabases = make(chan string, 64)
)

const templateName = "template_of_tests"

// EmptyDatabase returns the URL of a new database without tables. The database is dropped when the test ends.
func EmptyDatabase(t testing.TB) string {
	t.Helper()
	server := sharedServer(t)
	name := server.create(t, "template0")
	t.Cleanup(func() {
		if err := server.Exec("postgres", "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	})
	return server.URL(name)
}

// MigratedDatabase is EmptyDatabase with the schema that migrate creates in the database of the URL. migrate runs once in a
// process; each test gets a copy, or an emptied copy of an earlier test. Tests must not change the schema.
func MigratedDatabase(t testing.TB, migrate func(url string) error) string {
	t.Helper()
	server := sharedServer(t)
	template.Do(func() {
		if template.err = server.Exec("postgres", "CREATE DATABASE "+templateName); template.err == nil {
			template.err = migrate(server.URL(templateName))
		}
	})
	if template.err != nil {
		t.Fatalf("creating the template database: %v", template.err)
	}
	var name string
	select {
	case name = <-freeDatabases:
	default:
		name = server.create(t, templateName)
	}
	t.Cleanup(func() {
		if err := server.Exec(name, DeleteAllRows); err != nil {
			t.Error(err)
			return
		}
		select {
		case freeDatabases <- name:
		default: // the pool is full; the database is removed with the server
		}
	})
	return server.URL(name)
}

// DeleteAllRows is statements that delete all rows but those of the schema_… tables, in any order, since they ignore foreign keys.
const DeleteAllRows = `SET LOCAL session_replication_role = replica;
DO $$
DECLARE name text;
BEGIN
	FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename NOT LIKE 'schema%' LOOP
		EXECUTE 'DELETE FROM ' || name;
	END LOOP;
END $$`

// StartForTest starts a server that only this test uses and may stop, restart and damage.
func StartForTest(t testing.TB, settings ...string) *Server {
	t.Helper()
	require.NotShort(t, require.Postgres)
	server, err := Start(settings...)
	requireStarted(t, err)
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Errorf("stopping the test's PostgreSQL: %v", err)
		}
	})
	return server
}

func sharedServer(t testing.TB) *Server {
	t.Helper()
	require.NotShort(t, require.Postgres)
	server, err := shared()
	requireStarted(t, err)
	return server
}

func requireStarted(t testing.TB, err error) {
	t.Helper()
	if errors.Is(err, ErrNotInstalled) {
		require.Missing(t, require.Postgres)
	}
	if err != nil {
		t.Fatalf("starting PostgreSQL: %v", err)
	}
}

// create creates a database by copying the files of another. The checkpoints that this needs are fast, because fsync is off.
func (s *Server) create(t testing.TB, from string) (name string) {
	t.Helper()
	name = fmt.Sprintf("test%d", databases.Add(1))
	if err := s.Exec("postgres", fmt.Sprintf("CREATE DATABASE %s TEMPLATE %s STRATEGY file_copy", name, from)); err != nil {
		t.Fatal(err)
	}
	return name
}

// AwaitNoConnections waits until no connection to the database exists. The server's process ends some time after the client has closed
// the connection: on a busy machine, later than a command waits for it.
func AwaitNoConnections(t testing.TB, databaseURL string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), serverTimeout)
	defer cancel()
	config, err := pgx.ParseConfig(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	database := config.Database
	config.Database = "postgres"
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	for connections := 1; connections > 0; time.Sleep(10 * time.Millisecond) {
		if err := conn.QueryRow(ctx, "SELECT count(*) FROM pg_stat_activity WHERE datname = $1", database).Scan(&connections); err != nil {
			t.Fatalf("waiting until %d connections end: %v", connections, err)
		}
	}
}
