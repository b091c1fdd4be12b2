package postgres

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/keylodge/keylodge/acceptance/testkit/postgresserver"
	"github.com/keylodge/keylodge/ports"
	"github.com/keylodge/keylodge/ports/storetest"
)

func TestContract(t *testing.T) {
	storetest.Run(t, reuse(t, postgresserver.MigratedDatabase(t, migrateDatabase)))
}

// reuse opens the database and returns a function that hands out its store, and empties it when a test ends. Opening connections
// for each rule of the contract takes more CPU time than the rules.
func reuse(t *testing.T, url string) func(t *testing.T) ports.Store {
	t.Helper()
	s := openAt(t, url)
	return func(t *testing.T) ports.Store {
		t.Helper()
		t.Cleanup(func() {
			if _, err := s.pool.Exec(context.Background(), postgresserver.DeleteAllRows, pgx.QueryExecModeSimpleProtocol); err != nil {
				t.Error(err)
			}
		})
		return s
	}
}

func openNew(t testing.TB) *Store {
	t.Helper()
	return openAt(t, postgresserver.MigratedDatabase(t, migrateDatabase))
}

func openAt(t testing.TB, url string) *Store {
	t.Helper()
	s, err := Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

func migrateDatabase(url string) error {
	s, err := Open(context.Background(), url)
	if err != nil {
		return err
	}
	return s.Close()
}
