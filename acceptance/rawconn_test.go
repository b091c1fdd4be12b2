package acceptance

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/client"
)

// rawConn is a connection to a server that sends bytes unchanged, which an HTTP client would not do with malformed requests.
type rawConn struct {
	t testing.TB
	*net.TCPConn
	read *bufio.Reader
}

// rawConnTimeout fails a test that would hang. A working server never reaches it.
const rawConnTimeout = 5 * time.Minute

func (s *server) dial(t testing.TB) *rawConn {
	t.Helper()
	address, err := net.ResolveTCPAddr("tcp", "127.0.0.1"+s.origin[strings.LastIndex(s.origin, ":"):])
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.DialTCP("tcp", nil, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(rawConnTimeout)); err != nil {
		t.Fatal(err)
	}
	return &rawConn{t, conn, bufio.NewReader(conn)}
}

// send sends bytes unchanged. It ignores errors: the server may respond and close the connection before it has read all bytes.
func (c *rawConn) send(raw string) *rawConn {
	_, _ = io.WriteString(c, raw)
	return c
}

// closeWrite closes the connection for writing only.
func (c *rawConn) closeWrite() *rawConn {
	c.t.Helper()
	if err := c.CloseWrite(); err != nil {
		c.t.Fatal(err)
	}
	return c
}

// readResponses returns all responses until the server closes the connection. It fails the test if the server resets it.
func (c *rawConn) readResponses() []apiResponse {
	c.t.Helper()
	var all []apiResponse
	for {
		if _, err := c.read.Peek(1); errors.Is(err, io.EOF) {
			return all
		}
		all = append(all, c.readResponse(http.MethodGet))
	}
}

// readResponse reads the response to a request with the method.
func (c *rawConn) readResponse(method string) apiResponse {
	c.t.Helper()
	response, err := http.ReadResponse(c.read, &http.Request{Method: method})
	if err != nil {
		c.t.Fatalf("no response: %v", err)
	}
	read, err := client.ReadResponse(response)
	if err != nil {
		c.t.Fatalf("an incomplete response: %v", err)
	}
	return apiResponse{read}
}

// statusCodes returns the status codes of responses.
func statusCodes(all []apiResponse) []int {
	codes := make([]int, len(all))
	for i, a := range all {
		codes[i] = a.StatusCode
	}
	return codes
}
