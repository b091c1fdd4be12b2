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

// The data of a removed user are not in the files any more, even while the server runs.
func TestUsersRemove_ErasesFromFiles(t *testing.T) {
	store, path := openStore(t)
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	ada := domain.NewPendingUser("lovelace@example.org", "Ada Lovelace", now, rand.Reader)
	mustUpdate(t, store, func(tx ports.Tx) error { return tx.Users.Add(t.Context(), ada.ToUser(now)) })
	if len(filesContaining(t, path, "lovelace@example.org", "Ada Lovelace")) == 0 {
		t.Fatal("the user is in no file before the test")
	}
	mustUpdate(t, store, func(tx ports.Tx) error { return tx.Users.Remove(t.Context(), ada.UserID) })
	waitForTruncate(t, store)
	if in := filesContaining(t, path, "lovelace@example.org", "Ada Lovelace"); len(in) != 0 {
		t.Errorf("the user's data are in %v", in)
	}
}

// The e-mail about the deletion of an account may be the last that contains the user's data.
func TestOutboxEmails_OrphanErasedFromFiles(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for name, end := range map[string]func(tx ports.Tx, m *domain.OutboxEmail) error{
		"removed": func(tx ports.Tx, m *domain.OutboxEmail) error { return tx.OutboxEmails.Remove(t.Context(), m.ID()) },
		"expired": func(tx ports.Tx, m *domain.OutboxEmail) error {
			_, err := tx.OutboxEmails.DeleteExpired(t.Context(), m.State().ExpiresAt, 9)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			store, path := openStore(t)
			m := domain.NewNotificationEmail("lovelace@example.org", "", domain.UserID{}, domain.EmailKindAccountDeleted, domain.EventState{At: now}, now, rand.Reader)
			mustUpdate(t, store, func(tx ports.Tx) error { return tx.OutboxEmails.Add(t.Context(), m) })
			if len(filesContaining(t, path, "lovelace@example.org")) == 0 {
				t.Fatal("the e-mail is in no file before the test")
			}
			mustUpdate(t, store, func(tx ports.Tx) error { return end(tx, m) })
			waitForTruncate(t, store)
			if in := filesContaining(t, path, "lovelace@example.org"); len(in) != 0 {
				t.Errorf("the recipient is in %v", in)
			}
		})
	}
}

// A backup reads for a long time, and Litestream always. The removal of a user must not make later writes wait for them.
func TestUsersRemove_DoesNotWaitForReaders(t *testing.T) {
	store, path := openStore(t)
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	ada := domain.NewPendingUser("lovelace@example.org", "Ada Lovelace", now, rand.Reader)
	mustUpdate(t, store, func(tx ports.Tx) error { return tx.Users.Add(t.Context(), ada.ToUser(now)) })
	err := store.View(t.Context(), func(tx ports.Tx) error {
		if _, err := tx.Users.ByID(t.Context(), ada.UserID); err != nil {
			return err
		}
		// With this timeout a truncation that waits for the reader would block the next write for an hour.
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
			return errors.New("a write waited for a reader")
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(filesContaining(t, path, "lovelace@example.org")) == 0 {
		t.Fatal("the log was truncated in spite of the reader, so the test proves nothing")
	}
	deadline := time.Now().Add(5 * time.Minute)
	for len(filesContaining(t, path, "lovelace@example.org")) > 0 {
		if time.Now().After(deadline) {
			t.Fatal("the user's data were not erased after the reader had ended")
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

// waitForTruncate returns after the log has been truncated, which follows the commit; the next Update waits for it.
func waitForTruncate(t *testing.T, store *Store) {
	t.Helper()
	mustUpdate(t, store, func(ports.Tx) error { return nil })
}

// filesContaining returns the database files that contain any of the texts.
func filesContaining(t *testing.T, path string, texts ...string) (files []string) {
	t.Helper()
	for _, suffix := range []string{"", "-wal"} {
		content, err := os.ReadFile(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range texts {
			if bytes.Contains(content, []byte(text)) {
				files = append(files, path+suffix)
			}
		}
	}
	return files
}
