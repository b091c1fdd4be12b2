package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/ncruces/go-sqlite3/driver"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// maxBatch limits how many requests share a commit, and so how long the first of them waits for it.
const maxBatch = 128

// writer owns the only connection that writes, and commits in groups: a COMMIT that reaches the disk costs milliseconds, an Update
// microseconds. It collects the requests that wait, runs each in a savepoint of the same transaction, and commits once. Its
// invariants:
//   - fn of a request runs on the goroutine of its caller. The connection belongs to that goroutine between started and finished,
//     and to the writer's goroutine at all other times.
//   - A request whose fn fails, panics, or exits its goroutine is rolled back alone.
//   - A caller gets its result after the COMMIT. If the transaction fails, every caller that shares it gets that error.
//   - A request with an asynchronous commit (ports.WithAsyncCommit) shares its transaction with no other. Its COMMIT does not wait
//     for the disk; the next COMMIT of another request writes it to the disk, too.
type writer struct {
	*connection
	checkpoint *checkpointer
	requests   chan *request // unbuffered, so that a caller can leave while it waits
	async      chan *request // unbuffered; requests with an asynchronous commit
	closing    chan struct{} // closed when no more requests are accepted
	closed     chan struct{} // closed when the loop has ended
	committing bool          // a COMMIT of the writer runs
	isAsync    bool          // the transaction has an asynchronous commit
	lastFailed bool          // the last transaction failed: begin tests whether writing works again

	lastTruncateAttempt time.Time
}

// request is one Update. Each channel carries at most one message, in this order.
type request struct {
	ctx       context.Context
	async     bool       // asynchronous commit
	started   chan error // nil: the savepoint is open, and the connection is the caller's
	finished  chan bool  // the connection is the writer's again; true: commit
	committed chan error // the result of the COMMIT, after finished was true
}

func startWriter(c *connection, p *checkpointer) (*writer, error) {
	w := &writer{connection: c, checkpoint: p, requests: make(chan *request), async: make(chan *request), closing: make(chan struct{}), closed: make(chan struct{})}
	// On a full disk SQLite may end the transaction by itself. Later statements then run in autocommit mode, outside the
	// transaction. This hook rolls back every commit that is not the writer's own.
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

// stop runs the requests that wait, rejects later ones and those with an asynchronous commit, and returns when the loop has ended.
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
	r := &request{ctx: ctx, async: ports.HasAsyncCommit(ctx), started: make(chan error), finished: make(chan bool), committed: make(chan error, 1)}
	queue := w.requests
	if r.async {
		queue = w.async
	}
	select {
	case queue <- r:
	case <-ctx.Done():
		return ctx.Err()
	case <-w.closed:
		return errClosed
	}
	select {
	case err := <-r.started:
		if err != nil {
			return err
		}
	case <-ctx.Done():
		return ctx.Err()
	}
	committing, result := r.execute(fn, w.tx)
	if !committing {
		return result
	}
	if err := <-r.committed; err != nil {
		return err
	}
	return result
}

// execute runs fn and returns its result and whether to wait for the commit. It returns the connection to the writer in every case,
// also if fn panics or exits its goroutine.
func (r *request) execute(fn func(tx ports.Tx) error, tx ports.Tx) (commit bool, result error) {
	defer func() { r.finished <- commit }()
	commit, result = ports.CommitResult(fn(tx))
	if err := r.ctx.Err(); commit && err != nil {
		return false, err
	}
	return commit, result
}

func (w *writer) loop() {
	defer close(w.closed)
	for {
		select {
		case r := <-w.requests:
			w.batch(r)
		case r := <-w.async:
			w.batch(r)
		case <-w.checkpoint.copied:
			// No request waits for this checkpoint. If it fails, for example on a full disk, the next commit tries again.
			_, _, _ = checkpoint(w.connection)
		case <-w.closing:
			for r := w.nextQueued(); r != nil; r = w.nextQueued() {
				w.batch(r)
			}
			return
		}
	}
}

// nextQueued returns a request that waits, or nil.
func (w *writer) nextQueued() *request {
	select {
	case r := <-w.requests:
		return r
	default:
		return nil
	}
}

// batch runs first and the requests that wait behind it in one transaction. First runs alone if it has an asynchronous commit.
func (w *writer) batch(first *request) {
	if err := w.begin(first.async); err != nil {
		// Each of the requests that wait would run into the same error after the same timeout, so they fail now. Later requests
		// try again.
		rejected := []*request{first}
		for r := w.nextQueued(); r != nil; r = w.nextQueued() {
			rejected = append(rejected, r)
		}
		for _, r := range rejected {
			r.fail(err)
		}
		return
	}
	accepted, err := w.runAll(first)
	if err == nil {
		err = w.commit()
	}
	w.lastFailed = err != nil
	if err != nil {
		// It returns an error if SQLite has ended the transaction by itself.
		_ = w.exec("ROLLBACK")
	}
	for _, r := range accepted {
		r.committed <- err
	}
	if err == nil && w.truncatePending {
		w.truncateWAL()
	}
}

// begin starts a transaction. After a failure it also writes, so that a transaction that changes nothing shows whether the database
// can be written again.
func (w *writer) begin(async bool) error {
	if err := w.setAsync(async); err != nil {
		return wrap("setting the synchronous mode", err)
	}
	if err := w.exec("BEGIN IMMEDIATE"); err != nil {
		return wrap("beginning a transaction", err)
	}
	if w.lastFailed {
		if err := w.exec("PRAGMA user_version = 0"); err != nil { // the value that it has
			_ = w.exec("ROLLBACK")
			return wrap("testing whether the database can be written again", err)
		}
	}
	return nil
}

// setAsync sets how the next transaction commits. SQLite permits the change between transactions only.
func (w *writer) setAsync(async bool) error {
	if async == w.isAsync {
		return nil
	}
	mode := "PRAGMA synchronous = FULL"
	if async {
		mode = "PRAGMA synchronous = NORMAL"
	}
	if err := w.exec(mode); err != nil {
		return err
	}
	w.isAsync = async
	return nil
}

// truncateRetryInterval is the time between two attempts to truncate the write-ahead log while a reader, such as a backup, uses it.
const truncateRetryInterval = time.Second

// truncateWAL copies the write-ahead log into the database, where deleted rows have been overwritten, and truncates it. Otherwise the
// data of a removed user would stay in the log until it is full. It does not wait for readers, because a backup reads for a long
// time, and Litestream always: while one reads, a later commit tries again.
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
		w.lastTruncateAttempt = time.Time{} // the next removal truncates at once
	}
	_ = w.exec(busyTimeout) // it only sets a number
}

// runAll returns the requests that wait for the commit. After an error the transaction has ended.
func (w *writer) runAll(first *request) (accepted []*request, err error) {
	n := 0
	for r := first; r != nil; r = w.nextQueued() {
		commit, err := w.runRequest(r)
		if commit {
			accepted = append(accepted, r)
		}
		if err != nil {
			return accepted, err
		}
		if n++; n == maxBatch || r.async {
			break
		}
	}
	return accepted, nil
}

func (w *writer) commit() error {
	w.committing = true
	defer func() { w.committing = false }()
	if err := w.exec("COMMIT"); err != nil {
		return wrap("committing", err)
	}
	return nil
}

// runRequest runs r in a savepoint and returns whether r waits for the commit. After an error the transaction has ended.
func (w *writer) runRequest(r *request) (commit bool, err error) {
	if err := w.exec("SAVEPOINT request"); err != nil {
		err = txLost(err)
		r.fail(err)
		return false, err
	}
	select {
	case r.started <- nil:
		commit = <-r.finished
	case <-r.ctx.Done():
	}
	end := "RELEASE request"
	if !commit {
		end = "ROLLBACK TO request; RELEASE request"
	}
	if err := w.exec(end); err != nil {
		return commit, txLost(err)
	}
	return commit, nil
}

// fail ends a request that has not started with an error, unless its caller has left.
func (r *request) fail(err error) {
	select {
	case r.started <- err:
	case <-r.ctx.Done():
	}
}

// txLost returns the error of a request whose transaction, with its savepoint, SQLite has ended by itself.
func txLost(err error) error {
	return fmt.Errorf("the transaction was lost: %w: %w", domain.ErrUnavailable, err)
}
