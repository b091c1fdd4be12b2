package sqlite

import "sync"

// readers are the reading connections that are not in use. The one that was used last is taken first: after each commit of the writer,
// SQLite discards the pages that a reading connection has cached, so several in turn would each read the same pages from the file again.
type readers struct {
	free chan struct{} // has one value for each connection in idle
	mu   sync.Mutex
	idle []*connection
}

func newReaders() *readers { return &readers{free: make(chan struct{}, maxReaders)} }

// put returns a connection.
func (r *readers) put(c *connection) {
	r.mu.Lock()
	r.idle = append(r.idle, c)
	r.mu.Unlock()
	r.free <- struct{}{}
}

// pop takes a connection, for a caller that has received from free.
func (r *readers) pop() *connection {
	r.mu.Lock()
	defer r.mu.Unlock()
	last := len(r.idle) - 1
	c := r.idle[last]
	r.idle = r.idle[:last]
	return c
}
