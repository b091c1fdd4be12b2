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
)

// rawConn is a connection to a server, without a client in between that would mend what it is told to send.
type rawConn struct {
	t testing.TB
	*net.TCPConn
	read *bufio.Reader
}

// rawConnTimeout ends what would otherwise hang. Nothing waits for it that works.
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

// send sends bytes as they are. That nobody takes them any more is for the answer to explain.
func (c *rawConn) send(raw string) *rawConn {
	_, _ = io.WriteString(c, raw)
	return c
}

// closeWrite sends nothing more, and still listens.
func (c *rawConn) closeWrite() *rawConn {
	c.t.Helper()
	if err := c.CloseWrite(); err != nil {
		c.t.Fatal(err)
	}
	return c
}

// readResponses returns every answer until the server has closed the connection, and fails if it does not or resets it.
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

// readResponse reads the answer to a request of that method.
func (c *rawConn) readResponse(method string) apiResponse {
	c.t.Helper()
	response, err := http.ReadResponse(c.read, &http.Request{Method: method})
	if err != nil {
		c.t.Fatalf("no answer: %v", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		c.t.Fatalf("half an answer: %v", err)
	}
	return apiResponse{response, body}
}

// statusCodes is what a row of a table wants.
func statusCodes(all []apiResponse) []int {
	codes := make([]int, len(all))
	for i, a := range all {
		codes[i] = a.StatusCode
	}
	return codes
}
