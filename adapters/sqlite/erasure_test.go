package sqlite

import (
	"bytes"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Whoever wants to be forgotten is not to be read in the files any more, also while the server runs.
func TestUsersRemove_ErasesFromFiles(t *testing.T) {
	store, path := openStore(t)
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	ada := domain.NewPendingUser("lovelace@example.org", "Ada Lovelace", now, rand.Reader)
	mustUpdate(t, store, func(tx ports.Tx) error { return tx.Users.Add(t.Context(), ada.ToUser(now)) })
	if len(filesContaining(t, path, "lovelace@example.org", "Ada Lovelace")) == 0 {
		t.Fatal("she is not there at all")
	}
	mustUpdate(t, store, func(tx ports.Tx) error { return tx.Users.Remove(t.Context(), ada.UserID) })
	waitForTruncate(t, store)
	if in := filesContaining(t, path, "lovelace@example.org", "Ada Lovelace"); len(in) != 0 {
		t.Errorf("she can be read in %v", in)
	}
}

// The last that tells of somebody may be the message that they are gone.
func TestOutboxEmails_OrphanErasedFromFiles(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for how, end := range map[string]func(tx ports.Tx, m *domain.OutboxEmail) error{
		"removed": func(tx ports.Tx, m *domain.OutboxEmail) error { return tx.OutboxEmails.Remove(t.Context(), m.ID()) },
		"swept": func(tx ports.Tx, m *domain.OutboxEmail) error {
			_, err := tx.OutboxEmails.DeleteExpired(t.Context(), m.State().ExpiresAt, 9)
			return err
		},
	} {
		t.Run(how, func(t *testing.T) {
			store, path := openStore(t)
			m := domain.NewNotificationEmail("lovelace@example.org", domain.UserID{}, domain.EmailKindAccountDeleted, domain.EventState{At: now}, now, rand.Reader)
			mustUpdate(t, store, func(tx ports.Tx) error { return tx.OutboxEmails.Add(t.Context(), m) })
			if len(filesContaining(t, path, "lovelace@example.org")) == 0 {
				t.Fatal("it is not there at all")
			}
			mustUpdate(t, store, func(tx ports.Tx) error { return end(tx, m) })
			waitForTruncate(t, store)
			if in := filesContaining(t, path, "lovelace@example.org"); len(in) != 0 {
				t.Errorf("whom it was for can be read in %v", in)
			}
		})
	}
}

// A backup reads for a while, Litestream always. Neither may stop everybody who writes after somebody was removed.
func TestUsersRemove_DoesNotWaitForReaders(t *testing.T) {
	store, path := openStore(t)
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	ada := domain.NewPendingUser("lovelace@example.org", "Ada Lovelace", now, rand.Reader)
	mustUpdate(t, store, func(tx ports.Tx) error { return tx.Users.Add(t.Context(), ada.ToUser(now)) })
	err := store.View(t.Context(), func(tx ports.Tx) error {
		if _, err := tx.Users.ByID(t.Context(), ada.UserID); err != nil {
			return err
		}
		// Emptying the log would wait for the reader for an hour, and the next write for that.
		if err := store.writer.exec("PRAGMA busy_timeout = 3600000"); err != nil {
			return err
		}
		written := make(chan error, 1)
		go func() {
			written <- errors.Join(
				store.Update(t.Context(), func(tx ports.Tx) error { return tx.Users.Remove(t.Context(), ada.UserID) }),
				store.Update(t.Context(), func(ports.Tx) error { return nil }))
		}()
		select {
		case err := <-written:
			return err
		case <-time.After(5 * time.Minute):
			return errors.New("a write waits for a reader")
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(filesContaining(t, path, "lovelace@example.org")) == 0 {
		t.Fatal("the reader was not in the way, so this shows nothing")
	}
	deadline := time.Now().Add(5 * time.Minute)
	for len(filesContaining(t, path, "lovelace@example.org")) > 0 {
		if time.Now().After(deadline) {
			t.Fatal("she is never forgotten")
		}
		time.Sleep(100 * time.Millisecond)
		mustUpdate(t, store, func(ports.Tx) error { return nil })
	}
}

func openStore(t *testing.T) (store *Store, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "keylodge.db")
	store, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store, path
}

func mustUpdate(t *testing.T, store *Store, fn func(tx ports.Tx) error) {
	t.Helper()
	if err := store.Update(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

// waitForTruncate returns when the log has been emptied, which is after the answer; whoever comes next has waited for that.
func waitForTruncate(t *testing.T, store *Store) {
	t.Helper()
	mustUpdate(t, store, func(ports.Tx) error { return nil })
}

// filesContaining names the files of the database that any of the texts can be read in.
func filesContaining(t *testing.T, path string, texts ...string) (in []string) {
	t.Helper()
	for _, suffix := range []string{"", "-wal"} {
		content, err := os.ReadFile(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range texts {
			if bytes.Contains(content, []byte(text)) {
				in = append(in, path+suffix)
			}
		}
	}
	return in
}
