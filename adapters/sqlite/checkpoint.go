package sqlite

import (
	"math"
	"sync/atomic"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/driver"
)

const (
	// checkpointEvery is the number of pages in the write-ahead log after which a checkpoint runs.
	checkpointEvery = 1000
	// leftToWriter is how many remaining pages of a checkpoint the writer copies itself, between two transactions.
	leftToWriter = 100
)

// checkpointer copies the write-ahead log into the database on a connection and goroutine of its own. A checkpoint writes a thousand
// pages to scattered places and waits for the disk. By default SQLite runs it within a commit, and all Updates would wait. SQLite
// restarts the log only after all of it has been copied, so the writer copies the pages that were added during the checkpoint. Its
// invariant: it never blocks the writer, and it never waits for a reader.
type checkpointer struct {
	*connection
	pages     atomic.Int64  // pages in the log after the last commit
	requested int64         // pages in the log when the last checkpoint was requested; used by the writer's goroutine only
	due       chan struct{} // capacity 1: a checkpoint is due
	copied    chan struct{} // capacity 1: the writer can copy the remaining pages
	closed    chan struct{}
}

func startCheckpointer(c, writer *connection, others *otherCommits) (*checkpointer, error) {
	p := &checkpointer{connection: c, due: make(chan struct{}, 1), copied: make(chan struct{}, 1), closed: make(chan struct{})}
	// The hook replaces SQLite's automatic checkpoints.
	err := writer.conn.Raw(func(raw any) error {
		raw.(driver.Conn).Raw().WALHook(func(_ *sqlite3.Conn, _ string, pages int) error {
			others.took()
			p.committed(int64(pages))
			return nil
		})
		return nil
	})
	if err != nil {
		return nil, err
	}
	go p.run()
	return p, nil
}

// committed is called after each commit with the number of pages in the log.
func (p *checkpointer) committed(pages int64) {
	p.pages.Store(pages)
	if pages < p.requested { // SQLite has restarted the log
		p.requested = 0
	}
	if pages-p.requested < checkpointEvery {
		return
	}
	p.requested = pages
	notify(p.due)
}

func (p *checkpointer) run() {
	defer close(p.closed)
	for range p.due {
		if p.checkpoint() {
			notify(p.copied)
		}
	}
}

// checkpoint copies the log, and again what was added meanwhile, until at most leftToWriter pages remain or the remainder shrinks by
// less than half. It returns false if a reader, such as a backup, or a checkpoint of another process prevents it.
func (p *checkpointer) checkpoint() bool {
	for before := int64(math.MaxInt64); ; {
		log, done, err := checkpoint(p.connection)
		if err != nil || done < log {
			return false
		}
		remaining := p.pages.Load() - done
		if remaining <= leftToWriter || remaining > before/2 {
			return true
		}
		before = remaining
	}
}

// stop waits for the checkpoint that runs. The writer must have stopped.
func (p *checkpointer) stop() {
	close(p.due)
	<-p.closed
}

// checkpoint copies as much of the log as is possible without waiting. It returns the number of pages in the log, and how many of them
// have been copied.
func checkpoint(c *connection) (log, done int64, err error) {
	err = c.conn.Raw(func(raw any) error {
		pages, copied, err := raw.(driver.Conn).Raw().WALCheckpoint("main", sqlite3.CHECKPOINT_PASSIVE)
		log, done = int64(pages), int64(copied)
		return err
	})
	return log, done, err
}

// notify sends unless the channel is full.
func notify(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
