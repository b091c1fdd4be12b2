package sqlite

import (
	"path/filepath"
	"testing"

	"github.com/keylodge/keylodge/ports"
	"github.com/keylodge/keylodge/ports/storetest"
)

func TestContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) ports.Store { return openNew(t) })
}

// Durability after a power cut and the time that a connection waits for locks depend on these pragmas.
func TestOpen_ConnectionPragmas(t *testing.T) {
	s := openNew(t)
	for _, c := range s.connections {
		var journal string
		var synchronous, foreignKeys, busyTimeout, sizeLimit int
		const query = `SELECT journal_mode, synchronous, foreign_keys, timeout, journal_size_limit
			FROM pragma_journal_mode, pragma_synchronous, pragma_foreign_keys, pragma_busy_timeout, pragma_journal_size_limit`
		if err := c.conn.QueryRowContext(t.Context(), query).Scan(&journal, &synchronous, &foreignKeys, &busyTimeout, &sizeLimit); err != nil {
			t.Fatal(err)
		}
		const full = 2
		if journal != "wal" || synchronous != full || foreignKeys != 1 || busyTimeout != 5000 || sizeLimit != 64<<20 {
			t.Errorf("journal_mode %s, synchronous %d, foreign_keys %d, busy_timeout %d, journal_size_limit %d", journal, synchronous, foreignKeys, busyTimeout, sizeLimit)
		}
	}
}

func openNew(t testing.TB) *Store {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), "keylodge.db"))
}

func openAt(t testing.TB, path string) *Store {
	t.Helper()
	s, err := Open(path)
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
