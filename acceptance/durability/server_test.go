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

	"github.com/keylodge/keylodge/acceptance/leakcheck"
)

// binary is the path of the built program, which TestMain builds as people get it: without the race detector.
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
	if said, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the program: %v\n%s", err, said)
	} else {
		code = m.Run()
	}
	if err := os.RemoveAll(folder); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

// server is the program on a database of its own. It may be started any number of times, at the same address.
type server struct {
	t        testing.TB
	folder   string // of the database
	port     int
	settings []string
	process  *exec.Cmd
	exited   chan struct{} // closed once the process is gone
	log      logRecorder
	outage   atomic.Bool  // a test keeps it from writing
	answered atomic.Int64 // requests of callers
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
			t.Errorf("of %d secrets that were handed out, these are in the log: %q", s.secrets.Len(), found)
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

// launch begins a process and does not wait for it to serve.
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
		// Nothing is to run out while a slow machine looks at it.
		"KEYLODGE_RATE_LIMITS=off", // all come from one address, and hundreds at once
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
		_ = process.Wait() // how it ended is read from its state
	}()
}

// serverTimeout is how long a server that works may take for anything, also where the disk is slow: it bounds a failure.
const serverTimeout = 2 * time.Minute

// start returns once the server is ready.
func (s *server) start() {
	s.t.Helper()
	s.launch()
	for deadline := time.Now().Add(serverTimeout); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		if s.isReady() {
			return
		}
		select {
		case <-s.exited:
			s.t.Fatal("it ended instead of getting ready")
		default:
		}
	}
	s.t.Fatal("it does not get ready")
}

// get asks on a connection of its own. Status is 0 without an answer.
func (s *server) get(path string) (status int, header http.Header) {
	wire := &http.Transport{DisableKeepAlives: true}
	response, err := (&http.Client{Transport: wire, Timeout: serverTimeout}).Get("http://" + s.address() + path)
	if err != nil {
		return 0, nil
	}
	defer response.Body.Close()
	return response.StatusCode, response.Header
}

// awaitAnswers returns once callers have got so many more answers.
func (s *server) awaitAnswers(more int) {
	s.t.Helper()
	enough := s.answered.Load() + int64(more)
	for deadline := time.Now().Add(serverTimeout); s.answered.Load() < enough; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("it gave %d answers fewer than wanted", enough-s.answered.Load())
		}
	}
}

// kill ends the process as a power cut ends it, as far as the process is concerned.
func (s *server) kill() {
	s.t.Helper()
	if err := s.process.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.t.Fatal(err)
	}
	<-s.exited
	s.process = nil
}

// waitForExit waits for the end of a process that was told to stop, and returns its exit code, or minus the signal that ended it.
func (s *server) waitForExit() int {
	s.t.Helper()
	select {
	case <-s.exited:
	case <-time.After(serverTimeout):
		s.t.Fatalf("it has not stopped after %s", serverTimeout)
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

// logRecorder keeps what a server says.
type logRecorder struct {
	mu    sync.Mutex
	lines bytes.Buffer
}

func (l *logRecorder) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines.Write(line)
}

func (l *logRecorder) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines.String()
}

func (l *logRecorder) clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines.Reset()
}

func (l *logRecorder) tail() string {
	const most = 4000
	text := l.text()
	return text[max(0, len(text)-most):]
}
