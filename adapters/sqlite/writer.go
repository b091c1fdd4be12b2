package sqlite

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/driver"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// maxBatch limits how many requests share a commit, and so how long the first of them waits for it.
const maxBatch = 128

// errRepeat tells a request that its writes were rolled back, and that its fn runs again.
var errRepeat = errors.New("the transaction is repeated")

// writer owns the only connection that writes, and commits in groups: a COMMIT that reaches the disk costs milliseconds, an Update
// microseconds. It collects the requests that wait, runs them in the same transaction, and commits once. Its invariants:
//   - fn of a request runs on the goroutine of its caller. The connection belongs to that goroutine between started and finished,
//     and to the writer's goroutine at all other times.
//   - A request whose fn fails, panics, or exits its goroutine is rolled back alone. Nearly every request succeeds or fails before it
//     writes, and a savepoint costs a copy of each page that is written. The requests therefore run without savepoints, and if one
//     fails after a write, the whole transaction is rolled back and the others run again, each in a savepoint.
//   - A caller gets its result after the COMMIT. If the transaction fails, every caller that shares it gets that error.
//   - A request with an asynchronous commit (ports.WithAsyncCommit) runs after the others that wait, and shares its transaction with
//     no other. Its COMMIT does not wait for the disk; the next COMMIT of another request writes it to the disk, too.
type writer struct {
	*connection
	sqlite       *sqlite3.Conn // of connection
	checkpoint   *checkpointer
	otherCommits *otherCommits
	requests     chan *request // unbuffered, so that a caller can leave while it waits
	async        chan *request // unbuffered; requests with an asynchronous commit
	closing      chan struct{} // closed when no more requests are accepted
	closed       chan struct{} // closed when the loop has ended
	committing   bool          // a COMMIT of the writer runs
	isAsync      bool          // the transaction has an asynchronous commit
	lastFailed   bool          // the last transaction failed: begin tests whether writing works again

	lastTruncateAttempt time.Time
}

// request is one Update. Each channel carries at most one message for each run of fn, in this order.
type request struct {
	ctx       context.Context
	async     bool       // asynchronous commit
	started   chan error // nil: the connection is the caller's
	finished  chan bool  // the connection is the writer's again; true: commit
	committed chan error // after finished was true: the result of the COMMIT, or errRepeat
}

func startWriter(c *connection, p *checkpointer, others *otherCommits) (*writer, error) {
	w := &writer{connection: c, checkpoint: p, otherCommits: others, requests: make(chan *request), async: make(chan *request), closing: make(chan struct{}), closed: make(chan struct{})}
	// On a full disk SQLite may end the transaction by itself. Later statements then run in autocommit mode, outside the
	// transaction. This hook rolls back every commit that is not the writer's own.
	err := c.conn.Raw(func(raw any) error {
		w.sqlite = raw.(driver.Conn).Raw()
		w.sqlite.CommitHook(func() bool { return w.committing })
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
	for {
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
		if err := <-r.committed; err == nil {
			return result
		} else if !errors.Is(err, errRepeat) {
			return err
		}
	}
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
			if first := w.nextQueued(); first != nil {
				w.batch(first)
			}
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
	accepted, err := w.transact(w.queuedFrom(first), first.async, false)
	if errors.Is(err, errRepeat) && len(accepted) > 0 {
		for _, r := range accepted {
			r.committed <- errRepeat
		}
		accepted, err = w.transact(slices.Values(accepted), first.async, true)
	}
	for _, r := range accepted {
		r.committed <- err
	}
	if err == nil && w.truncatePending {
		w.truncateWAL()
	}
}

// queuedFrom returns first and the requests that wait behind it.
func (w *writer) queuedFrom(first *request) iter.Seq[*request] {
	return func(yield func(*request) bool) {
		for r := first; r != nil && yield(r); {
			r = w.nextQueued()
		}
	}
}

// transact runs requests in one transaction and returns those that wait for its result. If it returns errRepeat, nothing was
// committed, because a request failed after a write; the others must run again, with savepoints.
func (w *writer) transact(requests iter.Seq[*request], async, savepoints bool) (accepted []*request, err error) {
	if err := w.begin(async); err != nil {
		// Each of the requests that wait would run into the same error after the same timeout, so they fail now. They are collected
		// before the first of them fails: a request that its caller makes after that begins a transaction again.
		for _, r := range slices.Collect(requests) {
			r.fail(err)
		}
		return nil, err
	}
	accepted, err = w.runAll(requests, savepoints)
	if err == nil {
		err = w.commit()
	}
	if !errors.Is(err, errRepeat) { // which shows nothing about the database
		w.lastFailed = err != nil
	}
	if err != nil {
		// It returns an error if SQLite has ended the transaction by itself.
		_ = w.exec("ROLLBACK")
	}
	return accepted, err
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

// runAll returns the requests that wait for the commit. After an error other than errRepeat the transaction has ended.
func (w *writer) runAll(requests iter.Seq[*request], savepoints bool) (accepted []*request, err error) {
	run := w.runRequest
	if savepoints {
		run = w.runInSavepoint
	}
	n := 0
	for r := range requests {
		commit, err := run(r)
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
	if !w.isAsync {
		log := logOf(w.sqlite)
		log.gather()
		defer log.release()
	}
	w.committing = true
	w.otherCommits.begin()
	defer func() {
		w.otherCommits.end()
		w.committing = false
	}()
	if err := w.exec("COMMIT"); err != nil {
		return wrap("committing", err)
	}
	return nil
}

// runRequest runs r and returns whether r waits for the commit. It returns errRepeat if r failed after a write. After another error
// the transaction has ended.
func (w *writer) runRequest(r *request) (commit bool, err error) {
	before := w.sqlite.TotalChanges()
	commit, err = w.handOver(r)
	if err == nil && !commit && w.sqlite.TotalChanges() != before {
		err = errRepeat
	}
	return commit, err
}

// runInSavepoint is runRequest that rolls back the writes of a request that failed.
func (w *writer) runInSavepoint(r *request) (commit bool, err error) {
	if err := w.exec("SAVEPOINT request"); err != nil {
		err = txLost(err)
		r.fail(err)
		return false, err
	}
	commit, err = w.handOver(r)
	if err != nil {
		return commit, err
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

// handOver lends the connection to the caller of r and returns whether r waits for the commit. After an error SQLite has ended the
// transaction by itself, for example on a full disk.
func (w *writer) handOver(r *request) (commit bool, err error) {
	select {
	case r.started <- nil:
		commit = <-r.finished
	case <-r.ctx.Done():
	}
	if w.sqlite.GetAutocommit() {
		return commit, txLost(errors.New("SQLite rolled it back"))
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

// txLost returns the error of a request whose transaction SQLite has ended by itself.
func txLost(err error) error {
	return fmt.Errorf("the transaction was lost: %w: %w", domain.ErrUnavailable, err)
}
