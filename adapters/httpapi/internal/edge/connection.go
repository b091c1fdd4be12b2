package edge

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// connection checks the framing of what the client sends, and can be drained before it closes.
type connection struct {
	net.Conn
	listener  *limitListener
	idleSince atomic.Int64 // in nanoseconds since 1970; 0 during a request
	drains    atomic.Bool
	closeOnce sync.Once
	scanner   scanner
	readErr   error // the first error in the framing
}

// Limits of what is read after a response that did not wait for the end of its request.
const (
	drainTimeout = 2 * time.Second
	maxDrainSize = 4 << 20
)

func (c *connection) markIdle() { c.idleSince.Store(time.Now().UnixNano()) }

// Read reads up to the first error in the framing of a request, and the next Read returns the error. So the requests before it
// are answered.
func (c *connection) Read(p []byte) (int, error) {
	if c.readErr != nil {
		return 0, c.readErr
	}
	n, err := c.Conn.Read(p)
	valid, framingErr := c.scanner.scan(p[:n])
	if framingErr == nil {
		return n, err
	}
	c.readErr = framingErr
	if valid == 0 {
		return 0, framingErr
	}
	return valid, nil
}

// setDrainOnClose makes Close drain the connection. Closing a connection with unread bytes resets it, and the client loses the
// response.
func (c *connection) setDrainOnClose() { c.drains.Store(true) }

func (c *connection) Close() error {
	var err error
	c.closeOnce.Do(func() {
		if c.drains.Load() {
			c.drain()
		}
		err = c.Conn.Close()
		c.listener.release(c)
	})
	return err
}

// drain closes the sending half of the connection and discards what the client still sends, up to a limit of bytes and time.
func (c *connection) drain() {
	conn, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok || conn.CloseWrite() != nil || c.SetReadDeadline(time.Now().Add(drainTimeout)) != nil {
		return
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(c.Conn, maxDrainSize)) // the connection closes either way
}
