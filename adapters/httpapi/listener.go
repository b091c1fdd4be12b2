package httpapi

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

// grace is how long a connection may be there without a request before it has to make room for another.
const grace = time.Second

// Guard takes connections from a listener in the way the API wants them: so many at once and no more, each of them a
// connection that does not lose its last answer. What is short for a while, such as file descriptors, is waited for.
func Guard(listener net.Listener, log *slog.Logger) net.Listener {
	return newGuard(listener, maxConnections, grace, log)
}

func newGuard(listener net.Listener, limit int, grace time.Duration, log *slog.Logger) *guard {
	return &guard{Listener: listener, log: log, grace: grace, room: make(chan struct{}, limit), closed: make(chan struct{}), open: map[*connection]struct{}{}}
}

type guard struct {
	net.Listener
	log    *slog.Logger
	grace  time.Duration
	room   chan struct{} // one for each open connection
	closed chan struct{}
	close  sync.Once
	warned time.Time

	mu   sync.Mutex
	open map[*connection]struct{}
}

// Accept returns the next connection once there is room for it.
func (g *guard) Accept() (net.Conn, error) {
	conn, err := g.accept()
	if err != nil {
		return nil, err
	}
	if !g.makeRoom() {
		_ = conn.Close()
		return nil, net.ErrClosed
	}
	return g.admit(conn), nil
}

// makeRoom reports whether there is room, which it waits for. In a full house the connection that has been waiting longest
// without a request goes: whoever holds connections and asks nothing keeps nobody out.
func (g *guard) makeRoom() bool {
	const again = 50 * time.Millisecond
	for {
		select {
		case g.room <- struct{}{}:
			return true
		default:
		}
		g.dismissIdlest()
		select {
		case g.room <- struct{}{}:
			return true
		case <-g.closed:
			return false
		case <-time.After(again): // one may have become idle
		}
	}
}

// accept tries again while the system is short of something, and gives back what idle connections hold. A server that gave up
// then could be ended by anybody who opens connections enough.
func (g *guard) accept() (net.Conn, error) {
	const longest = time.Second
	pause := 5 * time.Millisecond
	for {
		conn, err := g.Listener.Accept()
		if err == nil || !passes(err) {
			return conn, err
		}
		g.warn(err)
		g.dismissIdlest()
		select {
		case <-time.After(pause):
		case <-g.closed:
			return nil, net.ErrClosed
		}
		pause = min(2*pause, longest)
	}
}

// warn tells the operator once a minute. Only Accept's caller comes here.
func (g *guard) warn(err error) {
	if now := time.Now(); now.Sub(g.warned) > time.Minute {
		g.warned = now
		g.log.Warn("no connection can be taken for now; the limit of open files may be too low", slog.Any("error", err))
	}
}

// passes reports whether what went wrong says something about this moment and not about the listener.
func passes(err error) bool {
	for _, passing := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED, syscall.EINTR} {
		if errors.Is(err, passing) {
			return true
		}
	}
	return false
}

func (g *guard) Close() error {
	g.close.Do(func() { close(g.closed) })
	return g.Listener.Close()
}

func (g *guard) admit(conn net.Conn) *connection {
	c := &connection{Conn: conn, guard: g}
	c.rest()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open[c] = struct{}{}
	return c
}

func (g *guard) release(c *connection) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, open := g.open[c]; open {
		delete(g.open, c)
		<-g.room
	}
}

func (g *guard) dismissIdlest() {
	if idlest := g.idlest(); idlest != nil {
		_ = idlest.Close() // nobody waits for anything there
	}
}

func (g *guard) idlest() *connection {
	g.mu.Lock()
	defer g.mu.Unlock()
	var idlest *connection
	since := time.Now().Add(-g.grace).UnixNano() + 1
	for c := range g.open {
		if at := c.idleSince.Load(); at != 0 && at < since {
			idlest, since = c, at
		}
	}
	return idlest
}

// followConnection notes whether a request is under way on a connection.
func followConnection(conn net.Conn, state fasthttp.ConnState) {
	c, ours := conn.(*connection)
	if !ours {
		return
	}
	switch state {
	case fasthttp.StateActive:
		c.idleSince.Store(0)
	case fasthttp.StateIdle:
		c.rest()
	}
}
