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

// maxConnections bounds what all clients together cost in memory: some 35 KiB each, and 100 KiB with the largest body. There
// is no limit by address, since all connections come from the proxy before this server.
const maxConnections = 4096

// idleGrace is how long a connection may be there without a request before it has to make room for another.
const idleGrace = time.Second

// LimitListener takes connections from a listener in the way the API wants them: so many at once and no more, each of them a
// connection that does not lose its last answer. What is short for a while, such as file descriptors, is waited for.
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

// Accept returns the next connection once there is room for it.
func (g *limitListener) Accept() (net.Conn, error) {
	conn, err := g.acceptWithRetry()
	if err != nil {
		return nil, err
	}
	if !g.acquireSlot() {
		_ = conn.Close()
		return nil, net.ErrClosed
	}
	return g.track(conn), nil
}

// acquireSlot reports whether there is room, which it waits for. At the limit it closes the
// connection that has been idle longest, so that idle connections do not keep other clients out.
func (g *limitListener) acquireSlot() bool {
	const again = 50 * time.Millisecond
	for {
		select {
		case g.slots <- struct{}{}:
			return true
		default:
		}
		g.closeLongestIdle()
		select {
		case g.slots <- struct{}{}:
			return true
		case <-g.closed:
			return false
		case <-time.After(again): // one may have become idle
		}
	}
}

// acceptWithRetry tries again while the system is short of something, and gives back what idle connections hold. A server that gave up
// then could be stopped by a client that opens many connections.
func (g *limitListener) acceptWithRetry() (net.Conn, error) {
	const longest = time.Second
	pause := 5 * time.Millisecond
	for {
		conn, err := g.Listener.Accept()
		if err == nil || !isTransient(err) {
			return conn, err
		}
		g.warn(err)
		g.closeLongestIdle()
		select {
		case <-time.After(pause):
		case <-g.closed:
			return nil, net.ErrClosed
		}
		pause = min(2*pause, longest)
	}
}

// warn tells the operator once a minute. Only Accept's caller comes here.
func (g *limitListener) warn(err error) {
	if now := time.Now(); now.Sub(g.warned) > time.Minute {
		g.warned = now
		g.log.Warn("no connection can be taken for now; the limit of open files may be too low", slog.Any("error", err))
	}
}

// isTransient reports whether what went wrong says something about this moment and not about the listener.
func isTransient(err error) bool {
	for _, passing := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED, syscall.EINTR} {
		if errors.Is(err, passing) {
			return true
		}
	}
	return false
}

func (g *limitListener) Close() error {
	g.closeOnce.Do(func() { close(g.closed) })
	return g.Listener.Close()
}

func (g *limitListener) track(conn net.Conn) *connection {
	c := &connection{Conn: conn, listener: g}
	c.markIdle()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open[c] = struct{}{}
	return c
}

func (g *limitListener) release(c *connection) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, open := g.open[c]; open {
		delete(g.open, c)
		<-g.slots
	}
}

func (g *limitListener) closeLongestIdle() {
	if idlest := g.longestIdle(); idlest != nil {
		_ = idlest.Close() // no request is in progress there
	}
}

func (g *limitListener) longestIdle() *connection {
	g.mu.Lock()
	defer g.mu.Unlock()
	var idlest *connection
	since := time.Now().Add(-g.idleGrace).UnixNano() + 1
	for c := range g.open {
		if at := c.idleSince.Load(); at != 0 && at < since {
			idlest, since = c, at
		}
	}
	return idlest
}

// trackConnState notes whether a request is under way on a connection.
func trackConnState(conn net.Conn, state fasthttp.ConnState) {
	c, ours := conn.(*connection)
	if !ours {
		return
	}
	switch state {
	case fasthttp.StateActive:
		c.idleSince.Store(0)
	case fasthttp.StateIdle:
		c.markIdle()
	}
}
