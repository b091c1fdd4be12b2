package edge

import (
	"errors"
	"log/slog"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/valyala/fasthttp"
)

// maxConnections limits the memory of all connections: each uses some 35 KiB, and 100 KiB with the largest body. There is no limit
// per address, since all connections come from the proxy in front of this server.
const maxConnections = 4096

// idleGrace is how long a connection may be idle before it can be closed in favour of another one.
const idleGrace = time.Second

// LimitListener limits the open connections of a listener to 4096, and checks the framing of their requests. Accept waits while
// the limit is reached or the system lacks resources such as file descriptors.
func LimitListener(listener net.Listener, log *slog.Logger) net.Listener {
	return newLimitListener(listener, maxConnections, idleGrace, log)
}

func newLimitListener(listener net.Listener, limit int, grace time.Duration, log *slog.Logger) *limitListener {
	return &limitListener{Listener: listener, log: log, idleGrace: grace, slots: make(chan struct{}, limit), closed: make(chan struct{}), open: map[*connection]struct{}{}}
}

type limitListener struct {
	net.Listener
	log       *slog.Logger
	idleGrace time.Duration
	slots     chan struct{} // one for each open connection
	closed    chan struct{}
	closeOnce sync.Once
	warned    time.Time

	mu   sync.Mutex
	open map[*connection]struct{}
}

// Accept returns the next connection. It waits while the limit of connections is reached.
func (l *limitListener) Accept() (net.Conn, error) {
	conn, err := l.acceptWithRetry()
	if err != nil {
		return nil, err
	}
	if !l.acquireSlot() {
		_ = conn.Close()
		return nil, net.ErrClosed
	}
	return l.track(conn), nil
}

// acquireSlot waits for a slot, and returns false if the listener is closed first. At the limit it closes the connection that has
// been idle longest, so that idle connections do not block other clients.
func (l *limitListener) acquireSlot() bool {
	const retryInterval = 50 * time.Millisecond
	for {
		select {
		case l.slots <- struct{}{}:
			return true
		default:
		}
		l.closeLongestIdle()
		select {
		case l.slots <- struct{}{}:
			return true
		case <-l.closed:
			return false
		case <-time.After(retryInterval): // a connection may have become idle
		}
	}
}

// acceptWithRetry tries again while the system lacks a resource, and closes idle connections to release some. Otherwise a client
// that opens many connections could stop the server.
func (l *limitListener) acceptWithRetry() (net.Conn, error) {
	const maxBackoff = time.Second
	backoff := 5 * time.Millisecond
	for {
		conn, err := l.Listener.Accept()
		if err == nil || !isTransient(err) {
			return conn, err
		}
		l.warn(err)
		l.closeLongestIdle()
		select {
		case <-time.After(backoff):
		case <-l.closed:
			return nil, net.ErrClosed
		}
		backoff = min(2*backoff, maxBackoff)
	}
}

// warn logs at most once a minute. It is called by one goroutine only, the caller of Accept.
func (l *limitListener) warn(err error) {
	if now := time.Now(); now.Sub(l.warned) > time.Minute {
		l.warned = now
		// Meaning: The operating system refused a connection: raise the limit of open files of the service. Logged once a minute at most.
		l.log.Warn("accepting a connection failed; the limit of open files may be too low", slog.Any("error", err))
	}
}

// isTransient reports whether accepting can succeed later: the error concerns the connection or the system, not the listener.
func isTransient(err error) bool {
	for _, transient := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED, syscall.EINTR} {
		if errors.Is(err, transient) {
			return true
		}
	}
	return false
}

// Close stops accepting connections. Only the first call closes the listener.
func (l *limitListener) Close() (err error) {
	l.closeOnce.Do(func() {
		close(l.closed)
		err = l.Listener.Close()
	})
	return err
}

func (l *limitListener) track(conn net.Conn) *connection {
	c := &connection{Conn: conn, listener: l}
	c.markIdle()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open[c] = struct{}{}
	return c
}

func (l *limitListener) release(c *connection) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, open := l.open[c]; open {
		delete(l.open, c)
		<-l.slots
	}
}

func (l *limitListener) closeLongestIdle() {
	if c := l.longestIdle(); c != nil {
		_ = c.Close() // it has no request in progress
	}
}

func (l *limitListener) longestIdle() *connection {
	l.mu.Lock()
	defer l.mu.Unlock()
	var longest *connection
	since := time.Now().Add(-l.idleGrace).UnixNano() + 1
	for c := range l.open {
		if at := c.idleSince.Load(); at != 0 && at < since {
			longest, since = c, at
		}
	}
	return longest
}

// trackConnState records whether a connection has a request in progress.
func trackConnState(conn net.Conn, state fasthttp.ConnState) {
	c, ok := conn.(*connection)
	if !ok {
		return
	}
	switch state {
	case fasthttp.StateActive:
		c.idleSince.Store(0)
	case fasthttp.StateIdle:
		c.markIdle()
	}
}
