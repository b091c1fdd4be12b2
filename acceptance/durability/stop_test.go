package durability

import (
	"bufio"
	"database/sql"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3/driver"
)

// Told to stop while everybody is busy, it answers whole whatever it began, and what it answered is there.
func TestStop_FinishesRequestsInFlight(t *testing.T) {
	s := newServer(t, t.TempDir(), "KEYLODGE_LOG_LEVEL=info") // a line for each request
	staff, random := newLoad(t, s), rand.New(rand.NewPCG(chosenSeed(), 0))
	var longest time.Duration
	const stops = 10
	for range stops {
		s.start()
		working := staff.start((*worker).run)
		s.awaitAnswers(100 + random.IntN(200))
		s.signal(syscall.SIGTERM)
		told := time.Now()
		if code := s.waitForExit(); code != 0 {
			t.Fatalf("exit code %d", code)
		}
		longest = max(longest, time.Since(told))
		working.Wait()
		if s.isListening() {
			t.Error("somebody still listens")
		}
		// What comes back was begun, and what was begun comes back. Whoever sends something into a connection that is just being
		// closed as idle, or finds nobody there, was not heard.
		if begun := int64(strings.Count(s.log.text(), `"msg":"request"`)); begun != s.answered.Load() {
			t.Errorf("%d requests were carried out, %d were answered", begun, s.answered.Load())
		}
		s.start()
		staff.run((*worker).verifyAll)
		s.kill()
		s.log.clear()
		s.answered.Store(0)
	}
	sum, _ := staff.sum()
	if kept := total(sum.kept); kept > 0 {
		t.Errorf("%d requests were carried out and not answered: %s", kept, formatCounts(sum.kept))
	}
	t.Logf("%d stops, the longest %d ms; %d writes acknowledged, %d not begun", stops, longest.Milliseconds(), total(sum.acknowledged), total(sum.unanswered))
}

// A client that never finishes what it says does not keep the server from stopping, and one that is slow is waited for.
func TestStop_WaitsForSlowClientsUpToTimeout(t *testing.T) {
	t.Parallel()
	s := newServer(t, t.TempDir())
	s.start()
	silent, slow := s.openPartialRequest(), s.openPartialRequest()
	s.signal(syscall.SIGTERM)
	told := time.Now()
	s.awaitNoListener()
	if status := finishRequest(t, slow); status != http.StatusOK {
		t.Errorf("whoever was slow got %d", status)
	}
	if code := s.waitForExit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if err := silent.Close(); err != nil {
		t.Error(err)
	}
	t.Logf("stopped %d ms after it was told", time.Since(told).Milliseconds())
}

// Whoever tells it a second time does not want to wait. Some supervisors send each signal twice, within an instant; that is
// once.
func TestStop_SecondSignalExitsImmediately(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			s := newServer(t, t.TempDir())
			for !endsAtALaterSignal(t, s, signal) {
				t.Log("this machine was too slow to send two signals within an instant: once more")
			}
			s.start()
			requireIntegrity(t, s)
		})
	}
}

// endsAtALaterSignal reports whether the first two signals came within an instant, without which the attempt tells nothing.
func endsAtALaterSignal(t *testing.T, s *server, signal syscall.Signal) bool {
	t.Helper()
	const instant = time.Second // as the program has it
	s.start()
	silent, slow := s.openPartialRequest(), s.openPartialRequest()
	defer silent.Close()
	defer slow.Close()
	begun := time.Now()
	s.signal(signal)
	s.awaitNoListener() // or the system would make one of the two
	s.signal(signal)
	if time.Since(begun) >= instant {
		s.kill()
		return false
	}
	if status := finishRequest(t, slow); status != http.StatusOK {
		t.Errorf("one signal, sent twice, did not let it finish: %d", status)
	}
	for told := false; !told; {
		select {
		case <-s.exited:
			told = true
		case <-time.After(10 * time.Millisecond):
			_ = s.process.Process.Signal(signal) // it may just have ended
		}
	}
	switch code := s.waitForExit(); {
	case code == -int(signal):
	case code == 0 && time.Since(begun) >= slowest: // it had waited for the silent one until that was over
		return false
	default:
		t.Errorf("exit code %d, want the signal's own end", code)
	}
	return true
}

// slowest is how long the program waits for a request that is arriving.
const slowest = 10 * time.Second

// The last thing that the server does is to write down who was seen.
func TestStop_FlushesLastSeen(t *testing.T) {
	s := newServer(t, t.TempDir())
	s.start()
	staff := newLoad(t, s)[:1]
	for len(staff[0].people) == 0 && !t.Failed() {
		staff[0].signUp()
	}
	if t.Failed() {
		t.FailNow()
	}
	ada := staff[0].people[0]
	// A session is written down once a minute; this one is made to be due.
	inDatabase(t, s, func(db *sql.DB) error {
		_, err := db.Exec("UPDATE sessions SET last_seen_at = last_seen_at - 3600000000")
		return err
	})
	asked := time.Now().Truncate(time.Microsecond)
	if got := staff[0].mustSend(ada, request{method: http.MethodGet, path: "/v1/session", in: ada.usableSessions()[0]}); !got.ok() {
		t.Fatal(got.status)
	}
	s.signal(syscall.SIGTERM)
	if code := s.waitForExit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	var seen int64
	inDatabase(t, s, func(db *sql.DB) error { return db.QueryRow("SELECT last_seen_at FROM sessions").Scan(&seen) })
	if time.UnixMicro(seen).Before(asked) {
		t.Errorf("last seen at %s, before the request of %s", time.UnixMicro(seen), asked)
	}
}

func (s *server) isListening() bool {
	conn, err := net.Dial("tcp", s.address())
	if err == nil {
		defer conn.Close()
	}
	return err == nil
}

// awaitNoListener returns once no connection is taken any more.
func (s *server) awaitNoListener() {
	s.t.Helper()
	for deadline := time.Now().Add(serverTimeout); s.isListening(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatal("it takes new connections while it stops")
		}
	}
}

// openPartialRequest is a connection with a request of which the last byte is missing, and of which the server has read the rest: it has
// answered 100 (Continue) to the header.
func (s *server) openPartialRequest() net.Conn {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.address())
	if err != nil {
		s.t.Fatal(err)
	}
	_, err = io.WriteString(conn, "POST /v1/login/options HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
	if err != nil {
		s.t.Fatal(err)
	}
	const goOn = "HTTP/1.1 100 Continue\r\n\r\n"
	answer := make([]byte, len(goOn))
	if _, err := io.ReadFull(conn, answer); err != nil || string(answer) != goOn {
		s.t.Fatalf("the header was answered with %q, %v", answer, err)
	}
	if _, err := io.WriteString(conn, "{"); err != nil {
		s.t.Fatal(err)
	}
	return conn
}

// finishRequest sends the missing byte and returns the answer's status.
func finishRequest(t *testing.T, conn net.Conn) int {
	t.Helper()
	defer conn.Close()
	if _, err := io.WriteString(conn, "}"); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := io.ReadAll(response.Body); err != nil {
		t.Errorf("the answer is not whole: %v", err)
	}
	if !response.Close {
		t.Error("the answer does not say that the connection ends with it")
	}
	return response.StatusCode
}

// inDatabase runs do on a connection of its own.
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
