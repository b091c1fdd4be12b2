package durability

import (
	"bufio"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3/driver"

	"github.com/keylodge/keylodge/acceptance/testkit/keylodgeserver"
)

// On SIGTERM under load, the server answers all requests that it has begun, and stores what it acknowledged.
func TestStop_FinishesRequestsInFlight(t *testing.T) {
	t.Parallel()
	s := newServer(t, t.TempDir(), "KEYLODGE_LOG_LEVEL=info") // a line for each request
	load, random := newLoad(t, s), rand.New(rand.NewPCG(chosenSeed(), 0))
	var longest time.Duration
	const stops = 10
	for range stops {
		s.Start()
		working := load.start((*worker).run)
		s.awaitAnswers(100 + random.IntN(200))
		s.Signal(syscall.SIGTERM)
		stopped := time.Now()
		if code := s.AwaitExit(); code != 0 {
			t.Fatalf("exit code %d", code)
		}
		longest = max(longest, time.Since(stopped))
		working.Wait()
		if s.isListening() {
			t.Error("the port still accepts connections")
		}
		// Each request that the server begins has a response. A request is not begun if its connection was just closed as idle or
		// refused.
		if handled := int64(strings.Count(s.Log(), `"msg":"request"`)); handled != s.answered.Load() {
			t.Errorf("%d requests were handled, %d were answered", handled, s.answered.Load())
		}
		s.Start()
		load.run((*worker).verifyAll)
		s.Kill()
		s.answered.Store(0)
	}
	sum, _ := load.sum()
	if committed := total(sum.committed); committed > 0 {
		t.Errorf("%d requests were committed and not answered: %s", committed, formatCounts(sum.committed))
	}
	t.Logf("%d stops, the longest %d ms; %d writes acknowledged, %d not begun", stops, longest.Milliseconds(), total(sum.acknowledged), total(sum.unanswered))
}

// The server waits for a slow client, but not for one that never completes its request.
func TestStop_WaitsForSlowClientsUpToTimeout(t *testing.T) {
	t.Parallel()
	s := newServer(t, t.TempDir())
	s.Start()
	silent, slow := s.openPartialRequest(), s.openPartialRequest()
	s.Signal(syscall.SIGTERM)
	stopped := time.Now()
	s.awaitNoListener()
	if status := finishRequest(t, slow); status != http.StatusOK {
		t.Errorf("the slow client got %d", status)
	}
	if code := s.AwaitExit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if err := silent.Close(); err != nil {
		t.Error(err)
	}
	t.Logf("stopped %d ms after the signal", time.Since(stopped).Milliseconds())
}

// A second signal ends the process at once. Some supervisors send each signal twice within a second; the server counts that as
// one signal.
func TestStop_SecondSignalExitsImmediately(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			s := newServer(t, t.TempDir())
			for !exitsOnSecondSignal(t, s, signal) {
				t.Log("the machine was too slow to send two signals within a second: repeat")
			}
			s.Start()
			requireIntegrity(t, s)
		})
	}
}

// exitsOnSecondSignal reports whether the first two signals were sent within a second; otherwise the attempt proves
// nothing.
func exitsOnSecondSignal(t *testing.T, s *server, signal syscall.Signal) bool {
	t.Helper()
	const duplicateWindow = time.Second // as in the program
	s.Start()
	silent, slow := s.openPartialRequest(), s.openPartialRequest()
	defer silent.Close()
	defer slow.Close()
	started := time.Now()
	s.Signal(signal)
	s.awaitNoListener() // two pending signals of one kind would be merged by the system
	s.Signal(signal)
	if time.Since(started) >= duplicateWindow {
		s.Kill()
		return false
	}
	switch status, err := completeRequest(slow); {
	case err != nil && s.AwaitExit() == -int(signal) && time.Since(started) >= duplicateWindow:
		return false // the program was so busy that it read the second signal after a second
	case err != nil:
		t.Errorf("after a duplicated signal the slow request got no response: %v", err)
		return true
	case status != http.StatusOK:
		t.Errorf("after a duplicated signal the slow request got %d", status)
	}
	for exited := false; !exited; {
		select {
		case <-s.Process().Exited():
			exited = true
		case <-time.After(10 * time.Millisecond):
			_ = s.Process().Signal(signal) // it may have just exited
		}
	}
	switch code := s.AwaitExit(); {
	case code == -int(signal):
	case code == 0 && time.Since(started) >= requestTimeout: // it had waited for the silent client until the timeout
		return false
	default:
		t.Errorf("exit code %d, want an end by the signal", code)
	}
	return true
}

// requestTimeout is how long the program waits for the rest of a request.
const requestTimeout = 10 * time.Second

// The server stores the pending last-seen times before it exits.
func TestStop_FlushesLastSeen(t *testing.T) {
	t.Parallel()
	s := newServer(t, t.TempDir())
	s.Start()
	load := newLoad(t, s)[:1]
	for len(load[0].people) == 0 && !t.Failed() {
		load[0].signUp()
	}
	if t.Failed() {
		t.FailNow()
	}
	ada := load[0].people[0]
	// The last-seen time is stored once a minute; make it due.
	inDatabase(t, s, func(db *sql.DB) error {
		_, err := db.Exec("UPDATE sessions SET last_seen_at = last_seen_at - 3600000000")
		return err
	})
	requested := time.Now().Truncate(time.Microsecond)
	if got := load[0].mustSend(ada, request{method: http.MethodGet, path: "/v1/session", in: ada.usableSessions()[0]}); !got.OK() {
		t.Fatal(got.StatusCode)
	}
	s.Signal(syscall.SIGTERM)
	if code := s.AwaitExit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	var seen int64
	inDatabase(t, s, func(db *sql.DB) error { return db.QueryRow("SELECT last_seen_at FROM sessions").Scan(&seen) })
	if time.UnixMicro(seen).Before(requested) {
		t.Errorf("last seen at %s, before the request of %s", time.UnixMicro(seen), requested)
	}
}

func (s *server) isListening() bool {
	conn, err := net.Dial("tcp", s.Address())
	if err == nil {
		defer conn.Close()
	}
	return err == nil
}

// awaitNoListener waits until new connections are refused.
func (s *server) awaitNoListener() {
	s.t.Helper()
	for deadline := time.Now().Add(keylodgeserver.Timeout); s.isListening(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatal("the server accepts new connections while it stops")
		}
	}
}

// openPartialRequest opens a connection and sends a request without its last byte. The server has read the rest: it has
// answered the header with 100 (Continue).
func (s *server) openPartialRequest() net.Conn {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.Address())
	if err != nil {
		s.t.Fatal(err)
	}
	_, err = io.WriteString(conn, "POST /v1/login/options HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
	if err != nil {
		s.t.Fatal(err)
	}
	const continueLine = "HTTP/1.1 100 Continue\r\n\r\n"
	answer := make([]byte, len(continueLine))
	if _, err := io.ReadFull(conn, answer); err != nil || string(answer) != continueLine {
		s.t.Fatalf("the header was answered with %q, %v", answer, err)
	}
	if _, err := io.WriteString(conn, "{"); err != nil {
		s.t.Fatal(err)
	}
	return conn
}

// finishRequest sends the missing byte and returns the status of the response.
func finishRequest(t *testing.T, conn net.Conn) int {
	t.Helper()
	status, err := completeRequest(conn)
	if err != nil {
		t.Fatal(err)
	}
	return status
}

// completeRequest is finishRequest with an error instead of a failed test.
func completeRequest(conn net.Conn) (status int, err error) {
	defer conn.Close()
	if _, err := io.WriteString(conn, "}"); err != nil {
		return 0, err
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	if _, err := io.ReadAll(response.Body); err != nil {
		return 0, fmt.Errorf("the response is incomplete: %w", err)
	}
	if !response.Close {
		return 0, errors.New("the response has no Connection: close")
	}
	return response.StatusCode, nil
}

// inDatabase runs do on a separate connection.
func inDatabase(t *testing.T, s *server, do func(*sql.DB) error) {
	t.Helper()
	db, err := driver.Open("file:" + s.database() + "?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(do(db), db.Close()); err != nil {
		t.Fatal(err)
	}
}
