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
