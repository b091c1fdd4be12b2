// Package keylodgeserver runs Keylodge servers as processes for tests.
package keylodgeserver

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/leakcheck"
	"github.com/keylodge/keylodge/acceptance/testkit/process"
)

// Timeout is the longest time for any operation of a working server, also on a slow disk.
const Timeout = 5 * time.Minute

// Server is a server that can be started repeatedly, at the same address. It ends with the test.
type Server struct {
	Binary    string             // the path of the program
	Arguments []string           // none runs the server
	Folder    string             // the working directory of the process
	Settings  []string           // NAME=value; of settings with the same name, the last one counts
	Secrets   *leakcheck.Secrets // that clients received: the test fails if the log has one of them

	t       testing.TB
	address string
	process *process.Process // nil before the first start
	logs    []*process.Log   // of each start
}

// New returns a server with a free address and the settings, which is not started. It has no operations listener.
func New(t testing.TB, binary string, settings ...string) *Server {
	t.Helper()
	address, err := process.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Binary: binary, Folder: t.TempDir(), Secrets: new(leakcheck.Secrets), t: t, address: address}
	s.Settings = append([]string{"KEYLODGE_LISTEN=" + address, "KEYLODGE_OPS_LISTEN=", "KEYLODGE_LOG_FORMAT=json"}, settings...)
	t.Cleanup(func() {
		if s.process != nil {
			s.process.Kill()
		}
		if found := s.Secrets.FindIn(s.Logs()); len(found) > 0 {
			t.Errorf("of %d secrets in responses, these are in the log of %s: %q", s.Secrets.Len(), s.address, found)
		}
		if t.Failed() {
			const maxLength = 4000
			text := s.Logs()
			t.Logf("the end of the log of %s:\n%s", s.address, text[max(0, len(text)-maxLength):])
		}
	})
	return s
}

// Address returns the address of the server's listener.
func (s *Server) Address() string { return s.address }

// URL returns the URL of the server, with the host name that passkeys and cookies are for.
func (s *Server) URL() string {
	return "http://" + strings.Replace(s.address, "127.0.0.1", "localhost", 1)
}

// Environment returns the environment of the calling process with the settings instead of its own settings of Keylodge.
func Environment(settings ...string) []string {
	own := slices.DeleteFunc(os.Environ(), func(variable string) bool { return strings.HasPrefix(variable, "KEYLODGE_") })
	return append(own, settings...)
}

// Launch starts the process and does not wait until the server is ready.
func (s *Server) Launch() {
	s.t.Helper()
	log := &process.Log{}
	command := exec.CommandContext(context.Background(), s.Binary, s.Arguments...)
	command.Dir, command.Env, command.Stdout, command.Stderr = s.Folder, Environment(s.Settings...), log, log
	var err error
	if s.process, err = process.Start(command); err != nil {
		s.t.Fatal(err)
	}
	s.logs = append(s.logs, log)
}

// Start starts the server and waits until it is ready.
func (s *Server) Start() {
	s.t.Helper()
	s.Launch()
	for deadline := time.Now().Add(Timeout); !s.IsReady(); time.Sleep(2 * time.Millisecond) {
		select {
		case <-s.process.Exited():
			s.t.Fatal("the server has ended before it was ready")
		default:
		}
		if time.Now().After(deadline) {
			s.t.Fatal("the server is not ready in time")
		}
	}
}

// IsReady reports whether /readyz has the status 200.
func (s *Server) IsReady() bool {
	status, _ := s.Get("/readyz")
	return status == http.StatusOK
}

// Get makes a request on a new connection. The status is 0 if there is no response.
func (s *Server) Get(path string) (status int, header http.Header) { return Get(s.address, path) }

// Get is [Server.Get] for a server at the address.
func Get(address, path string) (status int, header http.Header) {
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: Timeout}
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://"+address+path, http.NoBody)
	if err != nil {
		return 0, nil
	}
	response, err := c.Do(request)
	if err != nil {
		return 0, nil
	}
	_ = response.Body.Close()
	return response.StatusCode, response.Header
}

// Process returns the running process, or the last one.
func (s *Server) Process() *process.Process { return s.process }

// Signal sends a signal to the process.
func (s *Server) Signal(signal syscall.Signal) {
	s.t.Helper()
	if err := s.process.Signal(signal); err != nil {
		s.t.Fatal(err)
	}
}

// Kill ends the process with SIGKILL, so that it cannot clean up, as in a power failure.
func (s *Server) Kill() { s.process.Kill() }

// Stop ends the process with SIGTERM. The test fails unless the exit code is 0.
func (s *Server) Stop() {
	s.t.Helper()
	s.Signal(syscall.SIGTERM)
	if code := s.AwaitExit(); code != 0 {
		s.t.Fatalf("after SIGTERM, the exit code is %d", code)
	}
}

// AwaitExit waits for the end of the process. It returns the exit code, or the negative number of the signal that ended the process.
func (s *Server) AwaitExit() int {
	s.t.Helper()
	select {
	case <-s.process.Exited():
	case <-time.After(Timeout):
		s.t.Fatalf("the server has not stopped after %s", Timeout)
	}
	return s.process.ExitCode()
}

// Command runs a command of the program with the server's settings and returns its output.
func (s *Server) Command(arguments ...string) (string, error) {
	command := exec.CommandContext(s.t.Context(), s.Binary, arguments...)
	command.Dir, command.Env = s.t.TempDir(), Environment(s.Settings...)
	output, err := command.CombinedOutput()
	return string(output), err
}

// Log returns the output of the process since it was started last.
func (s *Server) Log() string { return s.logs[len(s.logs)-1].String() }

// Logs returns the output of all processes of the server.
func (s *Server) Logs() string {
	var all strings.Builder
	for _, log := range s.logs {
		all.WriteString(log.String())
	}
	return all.String()
}
