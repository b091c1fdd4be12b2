package sqlite

import (
	"math"
	"sync/atomic"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/driver"
)

const (
	// checkpointEvery is the number of pages added to the write-ahead log after which a checkpoint is due.
	checkpointEvery = 1000
	// leftToWriter is how many pages of a checkpoint the writer may copy itself, between two transactions.
	leftToWriter = 100
)

// checkpointer copies the write-ahead log into the database beside the writer, on a connection of its own. A checkpoint writes a
// thousand pages to scattered places and waits for the disk: done by the writer, as SQLite does by default, each thousandth page
// made all units of work wait for that. The writer copies only the pages that it has added during the checkpoint, since the log
// begins anew only when all of it has been copied.
type checkpointer struct {
	*connection
	pages     atomic.Int64  // in the log, after the last commit
	requested int64         // pages at the last request; of the writer's goroutine alone
	due       chan struct{} // capacity 1
	copied    chan struct{} // capacity 1: the writer may copy what is left
	closed    chan struct{}
}

func startCheckpointer(c *connection, writer *connection) (*checkpointer, error) {
	p := &checkpointer{connection: c, due: make(chan struct{}, 1), copied: make(chan struct{}, 1), closed: make(chan struct{})}
	// A hook takes the place of SQLite's automatic checkpoints.
	err := writer.conn.Raw(func(raw any) error {
		raw.(driver.Conn).Raw().WALHook(func(_ *sqlite3.Conn, _ string, pages int) error {
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
	if pages < p.requested { // the log has begun anew
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

// checkpoint copies the log and what is added to it meanwhile, until little is left or no less than half of the time before. It returns
// false if a reader, such as a backup, or another process's checkpoint is in the way.
func (p *checkpointer) checkpoint() bool {
	for before := int64(math.MaxInt64); ; {
		log, done, err := checkpoint(p.connection)
		if err != nil || done < log {
			return false
		}
		left := p.pages.Load() - done
		if left <= leftToWriter || left > before/2 {
			return true
		}
		before = left
	}
}

// stop returns when no checkpoint runs. The writer has been stopped before.
func (p *checkpointer) stop() {
	close(p.due)
	<-p.closed
}

// checkpoint copies as much of the log as it can without waiting for anyone. It returns how many pages there are, and how many of them
// have been copied.
func checkpoint(c *connection) (log, done int64, err error) {
	err = c.conn.Raw(func(raw any) error {
		pages, copied, err := raw.(driver.Conn).Raw().WALCheckpoint("main", sqlite3.CHECKPOINT_PASSIVE)
		log, done = int64(pages), int64(copied)
		return err
	})
	return log, done, err
}

// notify sends unless a message is waiting to be received already.
func notify(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
