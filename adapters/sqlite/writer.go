package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/ncruces/go-sqlite3/driver"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// maxBatch bounds how long the first of those who share a commit waits for it.
const maxBatch = 128

// writer owns the one connection that writes. A commit that reaches the disk costs milliseconds, a unit of work
// microseconds: so all who wait share one commit. Each has its turn in a savepoint of its own, on its own goroutine, so
// that one that fails or panics takes only its own writes with it; and each is answered after the commit, not before.
type writer struct {
	*connection
	checkpoint *checkpointer
	requests   chan *request // unbuffered: whoever waits can still leave
	closing    chan struct{} // nobody new may queue
	closed     chan struct{} // nobody will be served any more
	committing bool
	lastFailed bool // the last transaction failed

	lastTruncateAttempt time.Time
}

// request is one caller's use of the writer's connection. Each channel carries one message, in this order.
type request struct {
	ctx       context.Context
	started   chan error // nil: the savepoint stands, the connection is the caller's
	finished  chan bool  // the connection is the writer's again; true: keep what was written
	committed chan error // what became of it, if it was to be kept
}

func startWriter(c *connection, p *checkpointer) (*writer, error) {
	w := &writer{connection: c, checkpoint: p, requests: make(chan *request), closing: make(chan struct{}), closed: make(chan struct{})}
	// A full disk can make SQLite end the transaction by itself. Whatever is written after that, in the belief that the
	// transaction still stands, must not become a commit of its own.
	err := c.conn.Raw(func(raw any) error {
		raw.(driver.Conn).Raw().CommitHook(func() bool { return w.committing })
		return nil
	})
	if err != nil {
		return nil, err
	}
	go w.loop()
	return w, nil
}

// stop lets those who wait have their turn, refuses everybody after them, and returns when nobody is left.
func (w *writer) stop() {
	close(w.closing)
	<-w.closed
}

func (w *writer) update(ctx context.Context, fn func(tx ports.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-w.closing:
		return errClosed
	default:
	}
	t := &request{ctx: ctx, started: make(chan error), finished: make(chan bool), committed: make(chan error, 1)}
	select {
	case w.requests <- t:
	case <-ctx.Done():
		return ctx.Err()
	case <-w.closed:
		return errClosed
	}
	select {
	case err := <-t.started:
		if err != nil {
			return err
		}
	case <-ctx.Done():
		return ctx.Err()
	}
	committing, result := t.execute(fn, w.tx)
	if !committing {
		return result
	}
	if err := <-t.committed; err != nil {
		return err
	}
	return result
}

// execute returns the caller's result, and whether it waits for the commit. It hands the connection back in every case,
// also if fn panics or ends its goroutine.
func (t *request) execute(fn func(tx ports.Tx) error, tx ports.Tx) (commit bool, result error) {
	keep := false
	defer func() { t.finished <- keep }()
	if commit, result = ports.CommitResult(fn(tx)); !commit {
		return false, result
	}
	if err := t.ctx.Err(); err != nil {
		return false, err
	}
	keep = true
	return true, result
}

func (w *writer) loop() {
	defer close(w.closed)
	for {
		select {
		case t := <-w.requests:
			w.batch(t)
		case <-w.checkpoint.copied:
			// It needs nothing that is waited for, and fails, for example on a full disk, as the next one will.
			_, _, _ = checkpoint(w.connection)
		case <-w.closing:
			for t := w.nextQueued(); t != nil; t = w.nextQueued() {
				w.batch(t)
			}
			return
		}
	}
}

// nextQueued returns the turn of somebody who waits, or nil.
func (w *writer) nextQueued() *request {
	select {
	case t := <-w.requests:
		return t
	default:
		return nil
	}
}

// batch gives first and those who wait behind it their turns in one transaction.
func (w *writer) batch(first *request) {
	if err := w.begin(); err != nil {
		// Whoever waits behind it would only wait as long again, for the same. Whoever comes once somebody has been told may
		// know that it is over.
		refused := []*request{first}
		for t := w.nextQueued(); t != nil; t = w.nextQueued() {
			refused = append(refused, t)
		}
		for _, t := range refused {
			t.fail(err)
		}
		return
	}
	kept, err := w.runAll(first)
	if err == nil {
		err = w.commit()
	}
	w.lastFailed = err != nil
	if err != nil {
		// Where SQLite ended the transaction by itself there is none left to roll back, and this says so in vain.
		_ = w.exec("ROLLBACK")
	}
	for _, t := range kept {
		t.committed <- err
	}
	if err == nil && w.truncatePending {
		w.truncateWAL()
	}
}

// begin starts a transaction. After a failure it writes something, so that one in which nothing is written tells
// whether writing is possible again.
func (w *writer) begin() error {
	if err := w.exec("BEGIN IMMEDIATE"); err != nil {
		return wrap("beginning a transaction", err)
	}
	if w.lastFailed {
		if err := w.exec("PRAGMA user_version = 0"); err != nil { // which is what it is
			_ = w.exec("ROLLBACK")
			return wrap("trying whether the database can be written again", err)
		}
	}
	return nil
}

// truncateRetryInterval is how long to wait before trying again to empty the log while somebody reads from it, say a backup.
const truncateRetryInterval = time.Second

// truncateWAL empties the write-ahead log into the file, where deleted rows have been overwritten. The log would go on holding
// whoever was removed until it is full. If a reader is in the way, a later commit tries again: waiting for one that reads
// for long, as a backup does, or always, as Litestream does, would stop everybody who writes.
func (w *writer) truncateWAL() {
	if time.Since(w.lastTruncateAttempt) < truncateRetryInterval {
		return
	}
	w.lastTruncateAttempt = time.Now()
	if err := w.exec("PRAGMA busy_timeout = 0"); err != nil {
		return
	}
	var busy, frames, done int
	row := w.conn.QueryRowContext(context.Background(), "PRAGMA wal_checkpoint(TRUNCATE)")
	if err := row.Scan(&busy, &frames, &done); err == nil && busy == 0 {
		w.truncatePending = false
		w.lastTruncateAttempt = time.Time{} // whoever is next is forgotten at once
	}
	_ = w.exec(busyTimeout) // it sets a number, and has failed for nothing yet
}

// runAll returns the turns that await the commit. After an error the transaction is lost.
func (w *writer) runAll(first *request) (kept []*request, err error) {
	served := 0
	for t := first; t != nil; t = w.nextQueued() {
		keep, err := w.runRequest(t)
		if keep {
			kept = append(kept, t)
		}
		if err != nil {
			return kept, err
		}
		if served++; served == maxBatch {
			break
		}
	}
	return kept, nil
}

func (w *writer) commit() error {
	w.committing = true
	defer func() { w.committing = false }()
	if err := w.exec("COMMIT"); err != nil {
		return wrap("committing", err)
	}
	return nil
}

// runRequest gives t its turn and reports whether t awaits the commit. After an error the transaction is lost.
func (w *writer) runRequest(t *request) (keep bool, err error) {
	if err := w.exec("SAVEPOINT turn"); err != nil {
		err = txLost(err)
		t.fail(err)
		return false, err
	}
	select {
	case t.started <- nil:
		keep = <-t.finished
	case <-t.ctx.Done():
	}
	end := "RELEASE turn"
	if !keep {
		end = "ROLLBACK TO turn; RELEASE turn"
	}
	if err := w.exec(end); err != nil {
		return keep, txLost(err)
	}
	return keep, nil
}

// fail tells the caller, if still there, that there is no turn.
func (t *request) fail(err error) {
	select {
	case t.started <- err:
	case <-t.ctx.Done():
	}
}

// txLost is the error of everybody whose transaction SQLite has ended by itself: the savepoint is gone with it.
func txLost(err error) error {
	return fmt.Errorf("the transaction was lost: %w: %w", domain.ErrUnavailable, err)
}
