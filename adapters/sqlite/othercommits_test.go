package sqlite

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	_ "github.com/ncruces/go-sqlite3/vfs/memdb"

	"github.com/keylodge/keylodge/ports"
)

func (c *otherCommits) require(t *testing.T, want uint64, what string) {
	t.Helper()
	if number, known := c.number(); number != want || !known {
		t.Errorf("%s: the number is %d, known %t; want %d", what, number, known, want)
	}
}

// Two stores on one file are two processes for each other.
func TestOtherCommits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keylodge.db")
	s, other := openAt(t, path), openAt(t, path)
	before, known := s.OtherCommits()
	if !known {
		t.Fatal("the number is unknown")
	}
	for i := range 3 {
		add(t, s, i)
	}
	s.otherCommits.require(t, before, "after commits of this store")
	for i := range 3 {
		add(t, other, 10+i)
		s.otherCommits.require(t, before+uint64(i)+1, "after a commit of another process")
		add(t, s, 20+i)
		s.otherCommits.require(t, before+uint64(i)+1, "after a further commit of this store")
	}
	now := before + 3
	failed := errors.New("failed")
	if err := s.Update(t.Context(), func(tx ports.Tx) error { return errors.Join(addNumbered(30, tx), failed) }); !errors.Is(err, failed) {
		t.Fatal(err)
	}
	s.otherCommits.require(t, now, "after a rollback")
	if err := s.Update(t.Context(), func(ports.Tx) error { return nil }); err != nil {
		t.Fatal(err)
	}
	s.otherCommits.require(t, now, "after a commit that changes nothing")
	setCommitHook(t, s, func() bool { return false })
	if err := s.Update(t.Context(), func(tx ports.Tx) error { return addNumbered(31, tx) }); err == nil {
		t.Fatal("the commit did not fail")
	}
	setCommitHook(t, s, func() bool { return s.writer.committing })
	s.otherCommits.require(t, now, "after a commit that failed")
	s.writer.truncatePending = true // the next Update truncates the log
	add(t, s, 32)
	add(t, s, 33)
	s.otherCommits.require(t, now, "after a truncation of the log")
	if err := other.Update(ports.WithAsyncCommit(t.Context()), func(tx ports.Tx) error { return addNumbered(34, tx) }); err != nil {
		t.Fatal(err)
	}
	s.otherCommits.require(t, now+1, "after an asynchronous commit of another process")
}

// Before a COMMIT of the writer has taken effect the number is known, afterwards it is unknown until SQLite has reported the commit.
func TestOtherCommits_DuringACommit(t *testing.T) {
	s := openNew(t)
	add(t, s, 0)
	before, _ := s.OtherCommits()
	setCommitHook(t, s, func() bool {
		s.otherCommits.require(t, before, "before the commit has taken effect")
		return true
	})
	add(t, s, 1)
	s.otherCommits.begin()
	s.otherCommits.require(t, before, "at the beginning of a commit")
	other := openAt(t, s.path(t))
	add(t, other, 2) // the counter changes, as by the commit itself
	if _, known := s.OtherCommits(); known {
		t.Error("the number is known, although the commit may have taken effect")
	}
	s.otherCommits.end()
	s.otherCommits.require(t, before+1, "after the commit")
}

func TestOtherCommits_DatabaseInMemory(t *testing.T) {
	s, err := OpenURI("file:/othercommits?vfs=memdb")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	add(t, s, 0)
	s.otherCommits.require(t, 0, "without a file")
}

func (s *Store) path(t *testing.T) (path string) {
	t.Helper()
	if err := s.writer.conn.QueryRowContext(context.Background(), "SELECT file FROM pragma_database_list").Scan(&path); err != nil {
		t.Fatal(err)
	}
	return path
}
