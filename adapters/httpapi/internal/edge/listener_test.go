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

// serveLimited is an API on a listener with room for so many.
func serveLimited(t *testing.T, listener net.Listener, room int, grace time.Duration) *limitListener {
	t.Helper()
	guarded := newLimitListener(listener, room, grace, slog.New(slog.DiscardHandler))
	server := &fasthttp.Server{Handler: func(*fasthttp.RequestCtx) {}, ErrorHandler: func(*fasthttp.RequestCtx, error) {}}
	Protect(server, nil)
	stopped := make(chan error, 1)
	go func() { stopped <- server.Serve(guarded) }()
	t.Cleanup(func() {
		if err := server.Shutdown(); err != nil {
			t.Error(err)
		}
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	})
	return guarded
}

// waitForConnections waits until so many connections are open, and so many of them without a request, as the server sees it.
func (g *limitListener) waitForConnections(t *testing.T, open, resting int) {
	t.Helper()
	for start := time.Now(); time.Since(start) < 5*time.Minute; time.Sleep(time.Millisecond) {
		g.mu.Lock()
		nowOpen, nowResting := len(g.open), 0
		for c := range g.open {
			if c.idleSince.Load() != 0 {
				nowResting++
			}
		}
		g.mu.Unlock()
		if nowOpen == open && nowResting == resting {
			return
		}
	}
	t.Fatalf("there never were %d connections with %d at rest", open, resting)
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return listener
}

// dialAndSend opens a connection and says something on it.
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
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode != http.StatusOK {
		t.Errorf("status %d", answer.StatusCode)
	}
}

func wantClosed(t *testing.T, conn net.Conn) {
	t.Helper()
	if rest, err := io.ReadAll(conn); err != nil {
		t.Errorf("not closed: %q, %v", rest, err)
	}
}

// Connections that ask nothing keep nobody out: the one that has waited longest goes first.
func TestLimitListener_ClosesLongestIdleWhenFull(t *testing.T) {
	listener := listen(t)
	house := serveLimited(t, listener, 2, 0)
	first := dialAndSend(t, listener, livezRequest)
	wantResponse(t, first)
	house.waitForConnections(t, 1, 1)
	second := dialAndSend(t, listener, livezRequest)
	wantResponse(t, second)
	house.waitForConnections(t, 2, 2)
	third := dialAndSend(t, listener, livezRequest)
	wantResponse(t, third)
	wantClosed(t, first)
	house.waitForConnections(t, 2, 2)
	if _, err := io.WriteString(second, livezRequest); err != nil {
		t.Fatal(err)
	}
	wantResponse(t, second)
	house.waitForConnections(t, 2, 2)
	wantResponse(t, dialAndSend(t, listener, livezRequest)) // third has waited longer now
	wantClosed(t, third)
}

// Connections with a request under way are not broken: whoever comes waits until they are through.
func TestLimitListener_KeepsActiveConnectionsWhenFull(t *testing.T) {
	listener := listen(t)
	house := serveLimited(t, listener, 2, 0)
	var slow []net.Conn
	for i := range 2 {
		slow = append(slow, dialAndSend(t, listener, livezRequest[:20]))
		house.waitForConnections(t, i+1, 0)
	}
	waiting := dialAndSend(t, listener, livezRequest)
	if house.longestIdle() != nil {
		t.Error("a connection with a request under way is idle")
	}
	for _, conn := range slow {
		if _, err := io.WriteString(conn, livezRequest[20:]); err != nil {
			t.Fatal(err)
		}
		wantResponse(t, conn)
	}
	wantResponse(t, waiting)
}

// failingListener is a listener on a system that has run out of something for a while.
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

// Whoever opens connections until there are no file descriptors left does not end the server.
func TestLimitListener_RetriesTransientErrors(t *testing.T) {
	listener := &failingListener{Listener: listen(t)}
	house := serveLimited(t, listener, 8, 0)
	idle := dialAndSend(t, listener, livezRequest)
	wantResponse(t, idle)
	house.waitForConnections(t, 1, 1)
	listener.failWith(syscall.EMFILE, syscall.ENFILE, syscall.ECONNABORTED, syscall.ENOBUFS, syscall.ENOMEM)
	dialAndSend(t, listener, livezRequest) // whoever waits in Accept already is not turned away
	wantResponse(t, dialAndSend(t, listener, livezRequest))
	wantClosed(t, idle) // which held one
}

func TestLimitListener_ReturnsPermanentErrors(t *testing.T) {
	broken := errors.New("broken")
	listener := &failingListener{Listener: listen(t), errs: []error{broken}}
	defer listener.Close()
	if _, err := newLimitListener(listener, 1, 0, slog.New(slog.DiscardHandler)).Accept(); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
}

// A stop waits neither for room nor for what is short.
func TestLimitListener_CloseUnblocksAccept(t *testing.T) {
	full := newLimitListener(listen(t), 1, 0, slog.New(slog.DiscardHandler))
	dialAndSend(t, full, "")
	inside, err := full.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer inside.Close()
	trackConnState(inside, fasthttp.StateActive)
	dialAndSend(t, full, "")
	poor := newLimitListener(&failingListener{Listener: listen(t), errs: slices.Repeat([]error{syscall.EMFILE}, 1000)}, 1, 0, slog.New(slog.DiscardHandler))
	for name, guard := range map[string]*limitListener{"full": full, "short": poor} {
		waiting := make(chan error, 1)
		go func() {
			_, err := guard.Accept()
			waiting <- err
		}()
		if err := guard.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-waiting; !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
