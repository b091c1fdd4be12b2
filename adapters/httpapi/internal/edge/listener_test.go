package edge

import (
	"bufio"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// serveLimited serves empty responses on a listener that is limited to so many connections.
func serveLimited(t *testing.T, listener net.Listener, limit int, grace time.Duration) *limitListener {
	t.Helper()
	limited := newLimitListener(listener, limit, grace, slog.New(slog.DiscardHandler))
	server := &fasthttp.Server{Handler: func(*fasthttp.RequestCtx) {}, ErrorHandler: func(*fasthttp.RequestCtx, error) {}}
	Protect(server, nil)
	stopped := make(chan error, 1)
	go func() { stopped <- server.Serve(limited) }()
	t.Cleanup(func() {
		if err := server.Shutdown(); err != nil {
			t.Error(err)
		}
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	})
	return limited
}

// waitForConnections waits until so many connections are open, and so many of them are idle.
func (l *limitListener) waitForConnections(t *testing.T, open, idle int) {
	t.Helper()
	for start := time.Now(); time.Since(start) < 5*time.Minute; time.Sleep(time.Millisecond) {
		l.mu.Lock()
		nowOpen, nowIdle := len(l.open), 0
		for c := range l.open {
			if c.idleSince.Load() != 0 {
				nowIdle++
			}
		}
		l.mu.Unlock()
		if nowOpen == open && nowIdle == idle {
			return
		}
	}
	t.Fatalf("there are not %d open connections with %d idle", open, idle)
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return listener
}

// dialAndSend opens a connection and sends raw.
func dialAndSend(t *testing.T, listener net.Listener, raw string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(5 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, raw); err != nil {
		t.Fatal(err)
	}
	return conn
}

const livezRequest = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"

func wantResponse(t *testing.T, conn net.Conn) {
	t.Helper()
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK {
		t.Errorf("status %d, want 200", response.StatusCode)
	}
}

func wantClosed(t *testing.T, conn net.Conn) {
	t.Helper()
	if rest, err := io.ReadAll(conn); err != nil {
		t.Errorf("the connection is not closed: %q, %v", rest, err)
	}
}

// Requirement: ASVS-4.2.1
func TestLimitListener_ClosesLongestIdleWhenFull(t *testing.T) {
	listener := listen(t)
	limited := serveLimited(t, listener, 2, 0)
	first := dialAndSend(t, listener, livezRequest)
	wantResponse(t, first)
	limited.waitForConnections(t, 1, 1)
	second := dialAndSend(t, listener, livezRequest)
	wantResponse(t, second)
	limited.waitForConnections(t, 2, 2)
	third := dialAndSend(t, listener, livezRequest)
	wantResponse(t, third)
	wantClosed(t, first)
	limited.waitForConnections(t, 2, 2)
	if _, err := io.WriteString(second, livezRequest); err != nil {
		t.Fatal(err)
	}
	wantResponse(t, second)
	limited.waitForConnections(t, 2, 2)
	wantResponse(t, dialAndSend(t, listener, livezRequest)) // third is the longest idle now
	wantClosed(t, third)
}

// A connection with a request in progress is not closed: a new one waits until a request is complete.
func TestLimitListener_KeepsActiveConnectionsWhenFull(t *testing.T) {
	listener := listen(t)
	limited := serveLimited(t, listener, 2, 0)
	var slow []net.Conn
	for i := range 2 {
		slow = append(slow, dialAndSend(t, listener, livezRequest[:20]))
		limited.waitForConnections(t, i+1, 0)
	}
	waiting := dialAndSend(t, listener, livezRequest)
	if limited.longestIdle() != nil {
		t.Error("a connection with a request in progress counts as idle")
	}
	for _, conn := range slow {
		if _, err := io.WriteString(conn, livezRequest[20:]); err != nil {
			t.Fatal(err)
		}
		wantResponse(t, conn)
	}
	wantResponse(t, waiting)
}

// failingListener returns the errors of a system that lacks a resource, one for each Accept.
type failingListener struct {
	net.Listener
	mu   sync.Mutex
	errs []error
}

func (s *failingListener) Accept() (net.Conn, error) {
	if err := s.nextErr(); err != nil {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: err}
	}
	return s.Listener.Accept()
}

func (s *failingListener) nextErr() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.errs) == 0 {
		return nil
	}
	err := s.errs[0]
	s.errs = s.errs[1:]
	return err
}

func (s *failingListener) failWith(fails ...error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.errs = fails
}

// A client that opens connections until no file descriptors are left does not stop the server.
func TestLimitListener_RetriesTransientErrors(t *testing.T) {
	listener := &failingListener{Listener: listen(t)}
	limited := serveLimited(t, listener, 8, 0)
	idle := dialAndSend(t, listener, livezRequest)
	wantResponse(t, idle)
	limited.waitForConnections(t, 1, 1)
	listener.failWith(syscall.EMFILE, syscall.ENFILE, syscall.ECONNABORTED, syscall.ENOBUFS, syscall.ENOMEM)
	dialAndSend(t, listener, livezRequest) // is accepted by the Accept that is already waiting
	wantResponse(t, dialAndSend(t, listener, livezRequest))
	wantClosed(t, idle) // to release its file descriptor
}

func TestLimitListener_ReturnsPermanentErrors(t *testing.T) {
	broken := errors.New("broken")
	listener := &failingListener{Listener: listen(t), errs: []error{broken}}
	defer listener.Close()
	if _, err := newLimitListener(listener, 1, 0, slog.New(slog.DiscardHandler)).Accept(); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
}

// Close ends an Accept that waits for a slot or for a resource.
func TestLimitListener_CloseUnblocksAccept(t *testing.T) {
	full := newLimitListener(listen(t), 1, 0, slog.New(slog.DiscardHandler))
	dialAndSend(t, full, "")
	accepted, err := full.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer accepted.Close()
	trackConnState(accepted, fasthttp.StateActive)
	dialAndSend(t, full, "")
	failing := newLimitListener(&failingListener{Listener: listen(t), errs: slices.Repeat([]error{syscall.EMFILE}, 1000)}, 1, 0, slog.New(slog.DiscardHandler))
	for name, listener := range map[string]*limitListener{"at the limit": full, "without file descriptors": failing} {
		waiting := make(chan error, 1)
		go func() {
			_, err := listener.Accept()
			waiting <- err
		}()
		if err := listener.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-waiting; !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: Accept returned %v", name, err)
		}
	}
}
