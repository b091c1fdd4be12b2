package postgresserver

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
)

// shared is the one server of a test process, started by the first test that needs it.
var shared = sync.OnceValues(func() (*Server, error) { return Start() })

var (
	databases atomic.Int64 // made so far
	template  struct {
		sync.Once
		err error
	}
	// freeDatabases are copies of the template that a test has left: emptying one takes a hundredth of the time of making one.
	freeDatabases = make(chan string, 64)
)

const templateName = "template_of_tests"

// EmptyDatabase returns the URL of a new database without tables, which goes when the test ends.
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

// MigratedDatabase is Empty with the schema that migrate makes in the database of the URL. It does so once in a process, which has
// one schema only: what others get is a copy, or one that a former test has left. Tests change its rows and not its schema.
func MigratedDatabase(t testing.TB, migrate func(url string) error) string {
	t.Helper()
	server := sharedServer(t)
	template.Do(func() {
		if template.err = server.Exec("postgres", "CREATE DATABASE "+templateName); template.err == nil {
			template.err = migrate(server.URL(templateName))
		}
	})
	if template.err != nil {
		t.Fatalf("making the database that others are copies of: %v", template.err)
	}
	var name string
	select {
	case name = <-freeDatabases:
	default:
		name = server.create(t, templateName)
	}
	t.Cleanup(func() {
		if err := server.Exec(name, deleteAllRows); err != nil {
			t.Error(err)
			return
		}
		select {
		case freeDatabases <- name:
		default: // more than are ever used at once: it goes with the server
		}
	})
	return server.URL(name)
}

// deleteAllRows takes every row away but those that say what the schema is, whatever refers to them.
const deleteAllRows = `SET session_replication_role = replica;
DO $$
DECLARE name text;
BEGIN
	FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename NOT LIKE 'schema%' LOOP
		EXECUTE 'DELETE FROM ' || name;
	END LOOP;
END $$`

// StartForTest starts a server of the test's own, to be stopped, started and spoiled.
func StartForTest(t testing.TB, settings ...string) *Server {
	t.Helper()
	server, err := Start(settings...)
	skipUnlessInstalled(t, err)
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Errorf("stopping the test's PostgreSQL: %v", err)
		}
	})
	return server
}

func sharedServer(t testing.TB) *Server {
	t.Helper()
	server, err := shared()
	skipUnlessInstalled(t, err)
	return server
}

// skipUnlessInstalled skips a test where PostgreSQL is not installed, unless it has to be.
func skipUnlessInstalled(t testing.TB, err error) {
	t.Helper()
	switch {
	case errors.Is(err, ErrNotInstalled) && os.Getenv("REQUIRE_POSTGRES") != "":
		t.Fatal("no PostgreSQL found, and REQUIRE_POSTGRES is set; `make test` installs it")
	case errors.Is(err, ErrNotInstalled):
		t.Skip("no PostgreSQL found: what needs it is not tested; `make test` installs it")
	case err != nil:
		t.Fatalf("starting PostgreSQL: %v", err)
	}
}

// create makes a database as a copy of another, by copying its files: nothing has to survive, so the checkpoints that this
// takes write nothing through to the disk.
func (s *Server) create(t testing.TB, from string) (name string) {
	t.Helper()
	name = fmt.Sprintf("test%d", databases.Add(1))
	if err := s.Exec("postgres", fmt.Sprintf("CREATE DATABASE %s TEMPLATE %s STRATEGY file_copy", name, from)); err != nil {
		t.Fatal(err)
	}
	return name
}
