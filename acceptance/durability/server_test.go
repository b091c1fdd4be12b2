package durability

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/leakcheck"
)

// binary is the path of the program. TestMain builds it as it is released: without the race detector.
var binary string

func TestMain(m *testing.M) {
	folder, err := os.MkdirTemp("", "keylodge-durability-")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(folder, "keylodge")
	build := exec.Command("go", "build", "-o", binary, "github.com/keylodge/keylodge")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	code := 1
	if output, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the program: %v\n%s", err, output)
	} else {
		code = m.Run()
	}
	if err := os.RemoveAll(folder); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

// server is the program with its own database. It can be started repeatedly, at the same address.
type server struct {
	t        testing.TB
	folder   string // of the database
	port     int
	settings []string
	process  *exec.Cmd
	exited   chan struct{} // closed when the process has ended
	log      logRecorder
	outage   atomic.Bool  // the test prevents writes
	answered atomic.Int64 // responses that clients received
	secrets  leakcheck.Secrets
}

func newServer(t testing.TB, folder string, settings ...string) *server {
	t.Helper()
	s := &server{t: t, folder: folder, port: freePort(t), settings: settings}
	t.Cleanup(func() {
		if s.process != nil {
			s.kill()
		}
		if found := s.secrets.FindIn(s.log.text()); len(found) > 0 {
			t.Errorf("of %d secrets in responses, these are in the log: %q", s.secrets.Len(), found)
		}
		if t.Failed() {
			t.Logf("the end of the server's log:\n%s", s.log.tail())
		}
	})
	return s
}

func freePort(t testing.TB) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

func (s *server) address() string  { return "127.0.0.1:" + strconv.Itoa(s.port) }
func (s *server) origin() string   { return "http://localhost:" + strconv.Itoa(s.port) }
func (s *server) database() string { return filepath.Join(s.folder, "keylodge.db") }

// launch starts the process and does not wait until it is ready.
func (s *server) launch() {
	s.t.Helper()
	s.process = exec.Command(binary)
	s.process.Dir = s.folder
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "KEYLODGE_") {
			s.process.Env = append(s.process.Env, variable)
		}
	}
	s.process.Env = append(s.process.Env,
		"KEYLODGE_LISTEN="+s.address(), "KEYLODGE_OPS_LISTEN=", "KEYLODGE_LOG_FORMAT=json", "KEYLODGE_LOG_LEVEL=error",
		"KEYLODGE_DATABASE_URL=sqlite:"+s.database(), "KEYLODGE_TRUSTED_PROXIES=127.0.0.1",
		// Nothing may expire during a test on a slow machine.
		"KEYLODGE_RATE_LIMITS=off", // hundreds of requests arrive at once
		"KEYLODGE_CHALLENGE_TTL=1h", "KEYLODGE_ACCESS_TOKEN_TTL=1h", "KEYLODGE_STEP_UP_TTL=24h")
	s.process.Env = append(s.process.Env, s.settings...)
	s.process.Stderr = &s.log
	if err := s.process.Start(); err != nil {
		s.t.Fatal(err)
	}
	process := s.process
	ended := make(chan struct{})
	s.exited = ended
	go func() {
		defer close(ended)
		_ = process.Wait() // waitForExit reads the exit status
	}()
}

// serverTimeout is the longest time for any operation of a working server, also on a slow disk.
const serverTimeout = 5 * time.Minute

// start starts the server and waits until it is ready.
func (s *server) start() {
	s.t.Helper()
	s.launch()
	for deadline := time.Now().Add(serverTimeout); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		if s.isReady() {
			return
		}
		select {
		case <-s.exited:
			s.t.Fatal("the server exited before it was ready")
		default:
		}
	}
	s.t.Fatal("the server is not ready in time")
}

// get makes a request on a new connection. The status is 0 if there is no response.
func (s *server) get(path string) (status int, header http.Header) {
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := (&http.Client{Transport: transport, Timeout: serverTimeout}).Get("http://" + s.address() + path)
	if err != nil {
		return 0, nil
	}
	defer response.Body.Close()
	return response.StatusCode, response.Header
}

// awaitAnswers waits until clients have received more further responses.
func (s *server) awaitAnswers(more int) {
	s.t.Helper()
	enough := s.answered.Load() + int64(more)
	for deadline := time.Now().Add(serverTimeout); s.answered.Load() < enough; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("%d responses are missing", enough-s.answered.Load())
		}
	}
}

// kill ends the process with SIGKILL, so that it cannot clean up, as in a power failure.
func (s *server) kill() {
	s.t.Helper()
	if err := s.process.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.t.Fatal(err)
	}
	<-s.exited
	s.process = nil
}

// waitForExit waits for the end of a process that got a signal. It returns the exit code, or the negative number of the signal
// that ended the process.
func (s *server) waitForExit() int {
	s.t.Helper()
	select {
	case <-s.exited:
	case <-time.After(serverTimeout):
		s.t.Fatalf("the server has not stopped after %s", serverTimeout)
	}
	status := s.process.ProcessState.Sys().(syscall.WaitStatus)
	s.process = nil
	if status.Signaled() {
		return -int(status.Signal())
	}
	return status.ExitStatus()
}

func (s *server) signal(signal os.Signal) {
	s.t.Helper()
	if err := s.process.Process.Signal(signal); err != nil {
		s.t.Fatal(err)
	}
}

// logRecorder records the log of a server.
type logRecorder struct {
	mu    sync.Mutex
	lines bytes.Buffer
}

func (r *logRecorder) Write(line []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lines.Write(line)
}

func (r *logRecorder) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lines.String()
}

func (r *logRecorder) clear() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines.Reset()
}

func (r *logRecorder) tail() string {
	const maxLength = 4000
	text := r.text()
	return text[max(0, len(text)-maxLength):]
}
