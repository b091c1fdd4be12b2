package acceptance

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/bootstrap/config"
)

// shortTimeouts starts a server with a short timeout for reading and writing.
func shortTimeouts(t *testing.T) *server {
	t.Helper()
	return startServer(t, newClock(), func(c *config.Config) { c.ReadWriteTimeout = 300 * time.Millisecond })
}

// A client that sends a byte now and then occupies a connection only for the timeout of one request (slowloris).
// Requirement: ASVS-4.2.1
func TestTimeout_SlowRequest(t *testing.T) {
	s := shortTimeouts(t)
	for name, raw := range map[string]string{
		"nothing at all":     "",
		"an endless target":  "GET /",
		"an endless name":    getLivez + "X",
		"an endless value":   getLivez + "X: ",
		"an endless body":    postLoginOptions + "Content-Length: 60000\r\n\r\n{",
		"an endless size":    chunked + "0",
		"an endless text":    chunked + "1;",
		"an endless chunk":   chunked + "e000\r\n{",
		"an endless trailer": chunked + "2\r\n{}\r\n0\r\nX: ",
		"endless chunks":     chunked,
		"endless extensions": chunked,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			more := "0"
			switch name {
			case "endless chunks":
				more = "1\r\n0\r\n"
			case "endless extensions":
				more = "1;a\r\n0\r\n"
			}
			conn := s.dial(t).send(raw)
			cut := make(chan struct{})
			if raw != "" {
				go func() {
					for conn.t.Context().Err() == nil {
						if _, err := io.WriteString(conn, more); err != nil {
							return
						}
						select {
						case <-cut:
							return
						case <-time.After(10 * time.Millisecond):
						}
					}
				}()
			}
			got := conn.readResponses()
			close(cut)
			// An endless size may exceed the range of the number before the timeout.
			if want := []int{408}; !slices.Equal(statusCodes(got), want) && (name != "an endless size" || !slices.Equal(statusCodes(got), []int{400})) {
				t.Fatalf("got the responses %v, want %v", statusCodes(got), want)
			}
			got[0].problem(t)
		})
	}
}

// A client that sends fast is stopped by the size limits before the timeout.
// Requirement: ASVS-4.2.1
func TestSizeLimit_ChunkFraming(t *testing.T) {
	const most = 64 << 20 // bytes that a client can send: much more than the buffers hold, much less than ten seconds transfer
	s := startServer(t, newClock(), nil)
	for name, c := range map[string]struct {
		raw, more string
		status    int
	}{
		"an endless extension":        {chunked + "1;", strings.Repeat("x", 64<<10), 400},
		"an endless quoted extension": {chunked + "1;a=\"", strings.Repeat("x", 64<<10), 400},
		"endless extensions":          {chunked + "1", strings.Repeat(";a", 32<<10), 400},
		"endless blanks":              {chunked + "1", strings.Repeat(" ", 64<<10), 400},
		"an endless size":             {chunked, strings.Repeat("0", 64<<10), 400},
		"an extension of the next":    {chunked + lastChunk + chunked + "1;", strings.Repeat("x", 64<<10), 200},
		"extensions in every chunk":   {chunked, strings.Repeat("1;"+strings.Repeat("x", 1000)+"\r\n \r\n", 64), 400},
		"chunks without end":          {chunked, strings.Repeat("1\r\n \r\n", 10<<10), 413},
		"headers without end":         {getLivez, strings.Repeat("X: y\r\n", 10<<10), 431},
		"a trailer without end":       {chunked + "0\r\nX: ", strings.Repeat("x", 64<<10), 431},
	} {
		t.Run(name, func(t *testing.T) {
			conn := s.dial(t).send(c.raw)
			sent := make(chan int)
			go func() {
				n := 0
				for n < most {
					more, err := io.WriteString(conn, c.more)
					if n += more; err != nil {
						break
					}
				}
				sent <- n
			}()
			got := conn.readResponses()
			if !slices.Equal(statusCodes(got), []int{c.status}) {
				t.Fatalf("got the responses %v, want %d", statusCodes(got), c.status)
			}
			if n := <-sent; n >= most {
				t.Errorf("the server read %d bytes", n)
			}
		})
	}
}

// The timeout of the second request begins at its first byte. The server may close the connection without a response.
func TestTimeout_LaterRequest(t *testing.T) {
	s := shortTimeouts(t)
	conn := s.dial(t).send(getLivez + "\r\n")
	first := conn.readResponse(http.MethodGet)
	for first.StatusCode == http.StatusRequestTimeout { // this machine was slower than the timeout
		conn = s.dial(t).send(getLivez + "\r\n")
		first = conn.readResponse(http.MethodGet)
	}
	if first.StatusCode != http.StatusOK {
		t.Fatal(first.StatusCode)
	}
	for _, a := range conn.send(getLivez + "X: ").readResponses() {
		a.requireProblem(t, http.StatusRequestTimeout, "invalid_request")
	}
}

// A client that sends requests and reads no responses is disconnected after the timeout.
func TestTimeout_ClientThatDoesNotRead(t *testing.T) {
	conn := shortTimeouts(t).dial(t)
	requests := strings.Repeat("GET /openapi.json HTTP/1.1\r\n"+host+"\r\n", 100)
	var err error
	for err == nil {
		_, err = io.WriteString(conn, requests)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal("the server has not closed the connection")
	}
}

// The memory for a request does not depend on the size of its body.
// Requirement: ASVS-4.2.1
func TestSizeLimit_LargeBodyNotBuffered(t *testing.T) {
	s := startServer(t, newClock(), nil)
	body := bytes.Repeat([]byte("4000\r\n"+strings.Repeat(" ", 0x4000)+"\r\n"), 200) // 3 MiB in all
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	const times = 20
	for range times {
		if got := s.dial(t).send(chunked + string(body)).readResponses(); !slices.Equal(statusCodes(got), []int{413}) {
			t.Fatalf("got the responses %v", statusCodes(got))
		}
	}
	s.recording.reset()
	runtime.GC()
	runtime.ReadMemStats(&after)
	if kept := int64(after.HeapAlloc) - int64(before.HeapAlloc); kept > times*1<<20 {
		t.Errorf("%d bytes stay allocated", kept)
	}
}

// A client that has closed the connection for writing still gets the response.
func TestFraming_HalfClosedConnectionIsAnswered(t *testing.T) {
	s := startServer(t, newClock(), nil)
	for _, raw := range []string{getLivez + "\r\n", postLoginOptions + "Content-Length: 2\r\n\r\n{}", chunked + "2\r\n{}\r\n" + lastChunk} {
		if got := s.dial(t).send(raw).closeWrite().readResponses(); !slices.Equal(statusCodes(got), []int{200}) {
			t.Errorf("%q got the responses %v", raw, statusCodes(got))
		}
	}
}

// A body that is too large is not read. A client that is still sending it gets the response, and not a connection error.
// Requirement: ASVS-4.2.1
func TestSizeLimit_TooLargeRequestIsReported(t *testing.T) {
	s := startServer(t, newClock(), nil)
	body := strings.Repeat(" ", 2<<20)
	for name, c := range map[string]struct {
		raw    string
		status int
	}{
		"a body":    {postLoginOptions + "Content-Length: 2097152\r\n\r\n" + body, 413},
		"chunks":    {chunked + "200000\r\n" + body + "\r\n" + lastChunk, 413},
		"a header":  {getLivez + "X: " + body + "\r\n\r\n", 431},
		"not HTTP":  {"\r\n" + body[1:] + "\r\n\r\n", 431},
		"a trailer": {chunked + lastChunk[:3] + "X: " + body, 431},
	} {
		for range 5 {
			// A simple client: it writes everything before it reads anything.
			if got := s.dial(t).send(c.raw).closeWrite().readResponses(); !slices.Equal(statusCodes(got), []int{c.status}) {
				t.Errorf("%s: got the responses %v", name, statusCodes(got))
			}
		}
	}
	for range 5 {
		s.send(t, http.MethodPost, "/v1/login/options", body).requireProblem(t, 413, "body_too_large")
	}
}

// A client that sends Expect: 100-continue gets 413 before it sends a body that is too large.
func TestSizeLimit_ExpectContinueRejected(t *testing.T) {
	s := startServer(t, newClock(), nil)
	got := s.dial(t).send(postLoginOptions + "Expect: 100-continue\r\nContent-Length: 65537\r\n\r\n").readResponses()
	if !slices.Equal(statusCodes(got), []int{413}) {
		t.Fatalf("got the responses %v", statusCodes(got))
	}
	got[0].requireProblem(t, 413, "body_too_large")
}
