package sqlite

import (
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/require"
	"github.com/keylodge/keylodge/ports"
	"github.com/keylodge/keylodge/ports/dbadmin"
)

// Restore and Down are rejected while any process has the database open, even an idle server or a shell that only reads.
func TestRestoreAndDown_RejectDatabaseInUse(t *testing.T) {
	path := newFilledFile(t)
	backup := filepath.Join(t.TempDir(), "backup")
	f := NewFile(path)
	if _, err := f.Save(t.Context(), backup, false, dbadmin.CheckOptions{Full: true}); err != nil {
		t.Fatal(err)
	}
	wantInUse := func(t *testing.T) {
		t.Helper()
		r, err := f.PrepareRestore(t.Context(), backup)
		if err != nil {
			t.Fatal(err)
		}
		_, err = r.Commit(t.Context())
		wantCode(t, err, "database_in_use")
		if err := r.Discard(); err != nil {
			t.Error(err)
		}
		_, err = f.DryRunDown(t.Context())
		wantCode(t, err, "database_in_use")
		_, err = f.Down(t.Context())
		wantCode(t, err, "database_in_use")
		if files, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*restore*")); len(files) > 0 {
			t.Errorf("remaining files: %v", files)
		}
	}
	t.Run("a server", func(t *testing.T) {
		s, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		wantInUse(t)
		add(t, s, 1) // the server still works
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Run("a reader in another process", func(t *testing.T) {
		shell, err := exec.LookPath("sqlite3")
		if err != nil {
			require.Missing(t, require.Tools)
		}
		reader := exec.Command(shell, path)
		in, err := reader.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := reader.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := reader.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := in.Write([]byte("SELECT count(*) FROM passkeys;\n")); err != nil {
			t.Fatal(err)
		}
		if _, err := out.Read(make([]byte, 8)); err != nil {
			t.Fatal(err)
		}
		wantInUse(t)
		if err := in.Close(); err != nil {
			t.Fatal(err)
		}
		if err := reader.Wait(); err != nil {
			t.Error(err)
		}
	})
	r, err := f.PrepareRestore(t.Context(), backup)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Commit(t.Context()); err != nil {
		t.Errorf("after the others have closed the database: %v", err)
	}
}

// A server that starts during a restore waits and then opens the restored database.
func TestOpen_WaitsForRestore(t *testing.T) {
	path := newFilledFile(t)
	f := NewFile(path)
	db, err := f.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	backup := filepath.Join(t.TempDir(), "backup")
	if _, err := f.Save(t.Context(), backup, false, dbadmin.CheckOptions{Full: true}); err != nil {
		t.Fatal(err)
	}
	execSQL(t, path, "UPDATE users SET email = 'mallory@example.org'")
	if err := db.lockExclusively(t.Context()); err != nil {
		t.Fatal(err)
	}
	started := make(chan error, 1)
	var s *Store
	go func() {
		var err error
		s, err = Open(path)
		started <- err
	}()
	select {
	case err := <-started:
		t.Fatalf("Open did not wait: %v", err)
	case <-time.After(200 * time.Millisecond): // time to reach the lock; the test also passes if Open has not reached it
	}
	if err := db.restoreFrom(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	err = s.View(t.Context(), func(tx ports.Tx) error {
		_, err := tx.Users.ByEmail(t.Context(), "ada@example.org")
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
