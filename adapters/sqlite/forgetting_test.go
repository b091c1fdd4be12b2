package sqlite_test

import (
	"bytes"
	"crypto/rand"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/keylodge/keylodge/adapters/sqlite"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Whoever wants to be forgotten is not to be read in the files any more, also while the server runs.
func TestNothingOfARemovedUserIsLeftInTheFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keylodge.db")
	store, err := sqlite.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	ada, err := domain.NewApplicant("lovelace@example.org", "Ada Lovelace", now, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	found := func() (in []string) {
		t.Helper()
		for _, suffix := range []string{"", "-wal"} {
			content, err := os.ReadFile(path + suffix)
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(content, []byte("lovelace@example.org")) || bytes.Contains(content, []byte("Ada Lovelace")) {
				in = append(in, path+suffix)
			}
		}
		return in
	}
	if err := store.Update(t.Context(), func(tx ports.Tx) error { return tx.Users.Add(t.Context(), ada.Admit(now)) }); err != nil {
		t.Fatal(err)
	}
	if len(found()) == 0 {
		t.Fatal("she is not there at all")
	}
	if err := store.Update(t.Context(), func(tx ports.Tx) error { return tx.Users.Remove(t.Context(), ada.UserID) }); err != nil {
		t.Fatal(err)
	}
	// The log is emptied after the answer; whoever comes next has waited for that.
	if err := store.Update(t.Context(), func(ports.Tx) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if in := found(); len(in) != 0 {
		t.Errorf("she can be read in %v", in)
	}
}

// A backup reads for a while, Litestream always. Neither may stop everybody who writes after somebody was removed.
func TestForgettingWaitsForNobodyWhoReads(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keylodge.db")
	store, err := sqlite.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	ada, err := domain.NewApplicant("lovelace@example.org", "Ada Lovelace", now, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Update(t.Context(), func(tx ports.Tx) error { return tx.Users.Add(t.Context(), ada.Admit(now)) }); err != nil {
		t.Fatal(err)
	}
	inLog := func() bool {
		content, err := os.ReadFile(path + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Contains(content, []byte("lovelace@example.org"))
	}
	err = store.View(t.Context(), func(tx ports.Tx) error {
		if _, err := tx.Users.ByID(t.Context(), ada.UserID); err != nil {
			return err
		}
		begun := time.Now()
		if err := store.Update(t.Context(), func(tx ports.Tx) error { return tx.Users.Remove(t.Context(), ada.UserID) }); err != nil {
			return err
		}
		for range 5 {
			if err := store.Update(t.Context(), func(ports.Tx) error { return nil }); err != nil {
				return err
			}
		}
		if took := time.Since(begun); took > 4*time.Second { // less than one wait for a reader
			t.Errorf("six writes beside a reader took %s", took)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if !inLog() {
		t.Fatal("the reader was not in the way, so this shows nothing")
	}
	deadline := time.Now().Add(30 * time.Second)
	for inLog() {
		if time.Now().After(deadline) {
			t.Fatal("she is never forgotten")
		}
		time.Sleep(100 * time.Millisecond)
		if err := store.Update(t.Context(), func(ports.Tx) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
}
