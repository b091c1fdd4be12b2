package httpapi

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// connection is one of a client's, as the API reads and closes it.
type connection struct {
	net.Conn
	guard     *guard
	idleSince atomic.Int64 // in nanoseconds since 1970; 0 while a request is under way
	lingers   atomic.Bool
	closing   sync.Once
	last      [len(versionForm)]byte // bytes that were read, for the next read to look back at
}

// What a client may still send after an answer that did not wait for the end of its request.
const (
	lingerTime = 2 * time.Second
	lingerSize = 4 << 20
)

// versionForm is what a request line ends with.
const versionForm = "HTTP/1.1"

var errBareLineFeed = errors.New("the request line ends in LF without CR")

func (c *connection) rest() { c.idleSince.Store(time.Now().UnixNano()) }

// Read refuses a request line that ends in LF alone. fasthttp takes it for a whole one, and a proxy that does not would see
// another request than this server (RFC 9112, section 2.2, lets both be). The same bytes in a body are refused with it: no
// JSON has them, in or between its texts. Lines of headers are checkFraming's.
func (c *connection) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.endsRequestLine(p[:n]) {
		return 0, errBareLineFeed
	}
	c.remember(p[:n])
	return n, err
}

// endsRequestLine reports whether there is a version right before an LF.
func (c *connection) endsRequestLine(read []byte) bool {
	for at := bytes.IndexByte(read, '\n'); at >= 0; {
		before := read[:at]
		if missing := len(c.last) - len(before); missing > 0 {
			before = append(bytes.Clone(c.last[len(c.last)-missing:]), before...)
		}
		if isVersion(before[len(before)-len(versionForm):]) {
			return true
		}
		next := bytes.IndexByte(read[at+1:], '\n')
		if next < 0 {
			break
		}
		at += 1 + next
	}
	return false
}

func isVersion(b []byte) bool {
	return bytes.HasPrefix(b, []byte("HTTP/")) && b[6] == '.'
}

func (c *connection) remember(read []byte) {
	if len(read) >= len(c.last) {
		copy(c.last[:], read[len(read)-len(c.last):])
		return
	}
	copy(c.last[:], c.last[len(read):])
	copy(c.last[len(c.last)-len(read):], read)
}

// linger has the connection closed with patience, since its request was not read to the end. To close at once would make the
// system reset the connection, and a reset takes from the client the answer that is on its way.
func (c *connection) linger() { c.lingers.Store(true) }

func (c *connection) Close() error {
	var err error
	c.closing.Do(func() {
		if c.lingers.Load() {
			c.drain()
		}
		err = c.Conn.Close()
		c.guard.release(c)
	})
	return err
}

// drain says that nothing more will come from here, and reads what still comes from there: so much, and for so long.
func (c *connection) drain() {
	half, can := c.Conn.(interface{ CloseWrite() error })
	if !can || half.CloseWrite() != nil || c.SetReadDeadline(time.Now().Add(lingerTime)) != nil {
		return
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(c.Conn, lingerSize)) // however it ends, it is over
}
