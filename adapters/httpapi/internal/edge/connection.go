package edge

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// connection is one of a client's, as the API reads and closes it.
type connection struct {
	net.Conn
	listener  *limitListener
	idleSince atomic.Int64 // in nanoseconds since 1970; 0 while a request is under way
	drains    atomic.Bool
	closeOnce sync.Once
	scanner   scanner
	readErr   error // in what was read
}

// What a client may still send after an answer that did not wait for the end of its request.
const (
	drainTimeout = 2 * time.Second
	maxDrainSize = 4 << 20
)

func (c *connection) markIdle() { c.idleSince.Store(time.Now().UnixNano()) }

// Read reads up to the first fault in the framing of a request, and the next Read returns the fault. So the requests before it
// are answered.
func (c *connection) Read(p []byte) (int, error) {
	if c.readErr != nil {
		return 0, c.readErr
	}
	n, err := c.Conn.Read(p)
	sound, fault := c.scanner.scan(p[:n])
	if fault == nil {
		return n, err
	}
	c.readErr = fault
	if sound == 0 {
		return 0, fault
	}
	return sound, nil
}

// setDrainOnClose drains the connection before it closes, since its request was not read to the end. An immediate close would make the
// system reset the connection, and a reset takes from the client the answer that is on its way.
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

// drain says that nothing more will come from here, and reads what still comes from there: so much, and for so long.
func (c *connection) drain() {
	half, can := c.Conn.(interface{ CloseWrite() error })
	if !can || half.CloseWrite() != nil || c.SetReadDeadline(time.Now().Add(drainTimeout)) != nil {
		return
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(c.Conn, maxDrainSize)) // the connection closes either way
}
