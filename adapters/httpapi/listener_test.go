package httpapi

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

	"github.com/keylodge/keylodge/application"
	"github.com/keylodge/keylodge/application/ratelimit"
	"github.com/keylodge/keylodge/domain"
)

type unmetered struct{}

func (unmetered) Answered(string, string, int, time.Duration) {}
func (unmetered) Rejected(domain.Reason)                      {}
func (unmetered) SignedIn()                                   {}
func (unmetered) Found(domain.Finding)                        {}
func (unmetered) Limited(domain.RatePolicy)                   {}

// served is an API on a listener with room for so many.
func served(t *testing.T, listener net.Listener, room int, grace time.Duration) *guard {
	t.Helper()
	guarded := newGuard(listener, room, grace, slog.New(slog.DiscardHandler))
	api := New(Config{}, application.UseCases{}, &ratelimit.Admit{}, nil, unmetered{}, slog.New(slog.DiscardHandler))
	stopped := make(chan error, 1)
	go func() { stopped <- api.Listener(guarded) }()
	t.Cleanup(func() {
		if err := api.Shutdown(); err != nil {
			t.Error(err)
		}
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	})
	return guarded
}

// holds waits until so many connections are open, and so many of them without a request, as the server sees it.
func (g *guard) holds(t *testing.T, open, resting int) {
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

// client opens a connection and says something on it.
func client(t *testing.T, listener net.Listener, raw string) net.Conn {
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

const question = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"

func isAnswered(t *testing.T, conn net.Conn) {
	t.Helper()
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode != http.StatusOK {
		t.Errorf("status %d", answer.StatusCode)
	}
}

func isClosed(t *testing.T, conn net.Conn) {
	t.Helper()
	if rest, err := io.ReadAll(conn); err != nil {
		t.Errorf("not closed: %q, %v", rest, err)
	}
}

// Connections that ask nothing keep nobody out: the one that has waited longest goes first.
func TestAFullHouseDismissesWhoAsksNothing(t *testing.T) {
	listener := listen(t)
	house := served(t, listener, 2, 0)
	first := client(t, listener, question)
	isAnswered(t, first)
	house.holds(t, 1, 1)
	second := client(t, listener, question)
	isAnswered(t, second)
	house.holds(t, 2, 2)
	third := client(t, listener, question)
	isAnswered(t, third)
	isClosed(t, first)
	house.holds(t, 2, 2)
	if _, err := io.WriteString(second, question); err != nil {
		t.Fatal(err)
	}
	isAnswered(t, second)
	house.holds(t, 2, 2)
	isAnswered(t, client(t, listener, question)) // third has waited longer now
	isClosed(t, third)
}

// Connections with a request under way are not broken: whoever comes waits until they are through.
func TestAFullHouseFinishesItsRequests(t *testing.T) {
	listener := listen(t)
	house := served(t, listener, 2, 0)
	var slow []net.Conn
	for i := range 2 {
		slow = append(slow, client(t, listener, question[:20]))
		house.holds(t, i+1, 0)
	}
	waiting := client(t, listener, question)
	if house.idlest() != nil {
		t.Error("a connection with a request under way is idle")
	}
	for _, conn := range slow {
		if _, err := io.WriteString(conn, question[20:]); err != nil {
			t.Fatal(err)
		}
		isAnswered(t, conn)
	}
	isAnswered(t, waiting)
}

// short is a listener on a system that has run out of something for a while.
type short struct {
	net.Listener
	mu    sync.Mutex
	fails []error
}

func (s *short) Accept() (net.Conn, error) {
	if err := s.fault(); err != nil {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: err}
	}
	return s.Listener.Accept()
}

func (s *short) fault() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.fails) == 0 {
		return nil
	}
	err := s.fails[0]
	s.fails = s.fails[1:]
	return err
}

func (s *short) runsOutOf(fails ...error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fails = fails
}

// Whoever opens connections until there are no file descriptors left does not end the server.
func TestAShortageIsWaitedFor(t *testing.T) {
	listener := &short{Listener: listen(t)}
	house := served(t, listener, 8, 0)
	idle := client(t, listener, question)
	isAnswered(t, idle)
	house.holds(t, 1, 1)
	listener.runsOutOf(syscall.EMFILE, syscall.ENFILE, syscall.ECONNABORTED, syscall.ENOBUFS, syscall.ENOMEM)
	client(t, listener, question) // whoever waits in Accept already is not turned away
	isAnswered(t, client(t, listener, question))
	isClosed(t, idle) // which held one
}

func TestABrokenListenerIsNotWaitedFor(t *testing.T) {
	broken := errors.New("broken")
	listener := &short{Listener: listen(t), fails: []error{broken}}
	defer listener.Close()
	if _, err := newGuard(listener, 1, 0, slog.New(slog.DiscardHandler)).Accept(); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
}

// A stop waits neither for room nor for what is short.
func TestAClosedHouseLetsNobodyWait(t *testing.T) {
	full := newGuard(listen(t), 1, 0, slog.New(slog.DiscardHandler))
	client(t, full, "")
	inside, err := full.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer inside.Close()
	followConnection(inside, fasthttp.StateActive)
	client(t, full, "")
	poor := newGuard(&short{Listener: listen(t), fails: slices.Repeat([]error{syscall.EMFILE}, 1000)}, 1, 0, slog.New(slog.DiscardHandler))
	for name, guard := range map[string]*guard{"full": full, "short": poor} {
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
