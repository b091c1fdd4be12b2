package sqlite

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/keylodge/keylodge/ports"
)

// Units of work are committed while a checkpoint waits for the disk.
func TestCheckpointer_letsTheWriterGoOn(t *testing.T) {
	s, disk := openOnDisk(t, filepath.Join(t.TempDir(), "keylodge.db"))
	slow := make(chan struct{})
	reached := disk.delay(slow)
	written := make(chan error)
	go func() {
		defer close(written)
		for i := range 3000 { // a page each, at least
			select {
			case <-reached:
				for j := range 10 {
					written <- s.Update(t.Context(), func(tx ports.Tx) error { return addNumbered(10_000+j, tx) })
				}
				return
			default:
				if err := s.Update(t.Context(), func(tx ports.Tx) error { return addNumbered(i, tx) }); err != nil {
					written <- err
					return
				}
			}
		}
	}()
	units := 0
	for deadline := time.After(time.Minute); units < 10; units++ {
		select {
		case err, more := <-written:
			if err != nil || !more {
				t.Fatalf("after %d units of work beside the checkpoint: %v", units, err)
			}
		case <-deadline:
			close(slow)
			for range written { // the writer is to end before the store is closed
			}
			t.Fatalf("%d units of work were committed beside the checkpoint, want 10", units)
		}
	}
	close(slow)
}

// The log begins anew though units of work are committed all the time.
func TestCheckpointer_keepsTheLogShort(t *testing.T) {
	s := openNew(t)
	anew := 0
	for i, before := 0, int64(0); anew < 3; i++ {
		if err := s.Update(t.Context(), func(tx ports.Tx) error { return addNumbered(i, tx) }); err != nil {
			t.Fatal(err)
		}
		if pages := s.checkpointer.pages.Load(); pages < before {
			anew, before = anew+1, pages
		} else if before = pages; pages > 100*checkpointEvery {
			t.Fatalf("the log has %d pages, and has begun anew %d times", pages, anew)
		}
	}
}

// While a reader keeps the log from beginning anew, the checkpoint leaves nothing to the writer; the next one after it does.
func TestCheckpointer_waitsForReaders(t *testing.T) {
	s := openNew(t)
	add(t, s, 0)
	err := s.View(t.Context(), func(tx ports.Tx) error {
		if _, err := tx.Challenges.ByID(t.Context(), numberedID(0)); err != nil {
			return err
		}
		add(t, s, 1)
		if s.checkpointer.checkpoint() {
			t.Error("the log is called copied beside a reader of its beginning")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if !s.checkpointer.checkpoint() {
		t.Error("the log is not copied after the reader")
	}
}
