package sqlite

import (
	"bytes"
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/util/vfsutil"
	"github.com/ncruces/go-sqlite3/vfs"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// countingFile records the length of each write.
type countingFile struct {
	vfsutil.SliceFile
	writes []int
}

func (f *countingFile) WriteAt(b []byte, at int64) (int, error) {
	f.writes = append(f.writes, len(b))
	return f.SliceFile.WriteAt(b, at)
}

func mustWriteAt(t *testing.T, f *logFile, text string, at int64) {
	t.Helper()
	if n, err := f.WriteAt([]byte(text), at); n != len(text) || err != nil {
		t.Fatalf("wrote %d bytes, %v", n, err)
	}
}

func TestLogFile_GathersAdjacentWrites(t *testing.T) {
	for name, operation := range map[string]func(f *logFile) error{
		"sync":     func(f *logFile) error { return f.Sync(vfs.SYNC_FULL) },
		"read":     func(f *logFile) error { _, err := f.ReadAt(make([]byte, 1), 0); return err },
		"size":     func(f *logFile) error { _, err := f.Size(); return err },
		"truncate": func(f *logFile) error { return f.Truncate(6) },
	} {
		t.Run(name, func(t *testing.T) {
			disk := &countingFile{}
			f := &logFile{File: disk}
			f.gather()
			mustWriteAt(t, f, "ab", 0)
			mustWriteAt(t, f, "cd", 2)
			mustWriteAt(t, f, "ef", 4)
			if len(disk.writes) != 0 {
				t.Errorf("wrote %v before the operation", disk.writes)
			}
			if err := operation(f); err != nil || string(disk.SliceFile) != "abcdef" || !slices.Equal(disk.writes, []int{6}) {
				t.Errorf("the file has %q, after writes of %v bytes; %v", disk.SliceFile, disk.writes, err)
			}
			f.release()
			mustWriteAt(t, f, "g", 6)
			if string(disk.SliceFile) != "abcdefg" {
				t.Errorf("after release the file has %q", disk.SliceFile)
			}
		})
	}
}

func TestLogFile_WritesApartAreSeparate(t *testing.T) {
	disk := &countingFile{}
	f := &logFile{File: disk}
	f.gather()
	mustWriteAt(t, f, "ab", 4)
	mustWriteAt(t, f, "cd", 0)
	mustWriteAt(t, f, "ef", 2)
	if err := f.Sync(vfs.SYNC_FULL); err != nil || string(disk.SliceFile) != "cdefab" {
		t.Errorf("the file has %q, %v", disk.SliceFile, err)
	}
}

func TestLogFile_LimitsMemory(t *testing.T) {
	disk := &countingFile{}
	f := &logFile{File: disk}
	f.gather()
	page := bytes.Repeat([]byte("p"), 4096)
	for i := range int64(100) {
		mustWriteAt(t, f, string(page), i*4096)
	}
	if err := f.Sync(vfs.SYNC_FULL); err != nil || !bytes.Equal(disk.SliceFile, bytes.Repeat(page, 100)) {
		t.Errorf("the file has %d bytes, %v", len(disk.SliceFile), err)
	}
	if most := slices.Max(disk.writes); most > maxGathered {
		t.Errorf("a write has %d bytes, want at most %d", most, maxGathered)
	}
}

// A COMMIT that failed leaves nothing that a later one would write over the pages of another process.
func TestLogFile_ReleaseDropsWrites(t *testing.T) {
	disk := &countingFile{}
	f := &logFile{File: disk}
	f.gather()
	mustWriteAt(t, f, "failed", 0)
	f.release()
	f.gather()
	mustWriteAt(t, f, "next", 100)
	if err := f.Sync(vfs.SYNC_FULL); err != nil || !slices.Equal(disk.writes, []int{4}) {
		t.Errorf("writes of %v bytes, %v", disk.writes, err)
	}
}

func TestUpdate_WritesLogTogether(t *testing.T) {
	s, disk := openOnDisk(t, filepath.Join(t.TempDir(), "keylodge.db"))
	before := disk.writeCount.Load()
	if err := s.Update(t.Context(), addMany(0)); err != nil {
		t.Fatal(err)
	}
	pages := s.checkpointer.pages.Load()
	if writes := disk.writeCount.Load() - before; pages < 40 || writes > pages/10 {
		t.Errorf("%d writes of %d pages, want fewer", writes, pages)
	}
}

// addMany returns an Update that adds 500 challenges, which many pages have.
func addMany(first int) func(tx ports.Tx) error {
	return func(tx ports.Tx) error {
		for i := range 500 {
			if err := addNumbered(first+i, tx); err != nil {
				return err
			}
		}
		return nil
	}
}

// Another connection reads what was committed, also before it is on disk.
func TestUpdate_OthersReadLog(t *testing.T) {
	s, _ := openOnDisk(t, filepath.Join(t.TempDir(), "keylodge.db"))
	for name, async := range map[string]bool{"a COMMIT on disk": false, "an asynchronous COMMIT": true} {
		ctx, first := t.Context(), 0
		if async {
			ctx, first = ports.WithAsyncCommit(ctx), 1_000
		}
		if err := s.Update(ctx, addMany(first)); err != nil {
			t.Fatal(err)
		}
		err := s.View(ctx, func(tx ports.Tx) error {
			for i := range 500 {
				if _, err := tx.Challenges.ByID(ctx, numberedID(first+i)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Errorf("after %s: %v", name, err)
		}
	}
}

// If the log cannot be written, the Update fails, although SQLite learns that from the call that waits for the disk.
func TestUpdate_LogNotWritten(t *testing.T) {
	s, disk := openOnDisk(t, filepath.Join(t.TempDir(), "keylodge.db"))
	add := func(tx ports.Tx) error { return addNumbered(1, tx) }
	full := error(sqlite3.FULL)
	disk.writes.Store(&full)
	if err := s.Update(t.Context(), add); !errors.Is(err, domain.ErrUnavailable) || !errors.Is(err, sqlite3.FULL) {
		t.Errorf("on a full disk: %v", err)
	}
	disk.writes.Store(nil)
	if err := s.Update(t.Context(), add); err != nil {
		t.Errorf("with space again: %v", err)
	}
}
