package sqlite

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/keylodge/keylodge/ports"
)

// Updates are committed while a checkpoint waits for the disk.
func TestCheckpointer_DoesNotBlockTheWriter(t *testing.T) {
	s, disk := openOnDisk(t, filepath.Join(t.TempDir(), "keylodge.db"))
	resume := make(chan struct{})
	reached := disk.delay(resume)
	written := make(chan error)
	go func() {
		defer close(written)
		for i := range 3000 { // at least a page each
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
	updates := 0
	for deadline := time.After(5 * time.Minute); updates < 10; updates++ {
		select {
		case err, more := <-written:
			if err != nil || !more {
				t.Fatalf("after %d Updates during the checkpoint: %v", updates, err)
			}
		case <-deadline:
			close(resume)
			for range written { // wait for the goroutine before the store is closed
			}
			t.Fatalf("%d Updates were committed during the checkpoint, want 10", updates)
		}
	}
	close(resume)
}

// SQLite restarts the log while Updates are committed all the time.
func TestCheckpointer_KeepsTheLogShort(t *testing.T) {
	s := openNew(t)
	restarts := 0
	for i, before := 0, int64(0); restarts < 3; i++ {
		if err := s.Update(t.Context(), func(tx ports.Tx) error { return addNumbered(i, tx) }); err != nil {
			t.Fatal(err)
		}
		if pages := s.checkpointer.pages.Load(); pages < before {
			restarts, before = restarts+1, pages
		} else if before = pages; pages > 100*checkpointEvery {
			t.Fatalf("the log has %d pages after %d restarts", pages, restarts)
		}
	}
}

// While a reader uses the log, SQLite cannot restart it and the writer gets no pages to copy; the next checkpoint after it succeeds.
func TestCheckpointer_FailsDuringRead(t *testing.T) {
	s := openNew(t)
	add(t, s, 0)
	err := s.View(t.Context(), func(tx ports.Tx) error {
		if _, err := tx.Challenges.ByID(t.Context(), numberedID(0)); err != nil {
			return err
		}
		add(t, s, 1)
		if s.checkpointer.checkpoint() {
			t.Error("the checkpoint succeeded while a reader used the log")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if !s.checkpointer.checkpoint() {
		t.Error("the checkpoint failed after the reader had ended")
	}
}
