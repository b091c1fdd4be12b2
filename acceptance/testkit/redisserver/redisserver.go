// Package redisserver runs a private Redis or Valkey for tests, on a free local port and with a password. It stores nothing
// on disk, and ends when the process that started it ends, also after a crash.
package redisserver

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/require"
)

// Server is a running server.
type Server struct {
	binary     string
	address    string
	password   string
	folder     string
	process    *exec.Cmd
	supervisor io.Closer
}

// Start starts a server that ends with the test. If none is installed, the test ends as package require says.
func Start(t testing.TB) *Server {
	t.Helper()
	binary := require.Program(t, require.Redis)
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{binary: binary, address: listener.Addr().String(), password: rand.Text(), folder: t.TempDir()}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Run(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

// supervisorScript runs the server until its standard input ends: the kernel closes the pipe when the process at its other end
// has ended.
const supervisorScript = `
"$@" </dev/null >log 2>&1 &
server=$!
read -r word
kill -KILL $server
wait $server
`

// Run starts the server again after Stop, without data.
func (s *Server) Run() error {
	_, port, err := net.SplitHostPort(s.address)
	if err != nil {
		return err
	}
	process := exec.CommandContext(context.Background(), "sh", "-c", supervisorScript, "supervisor", s.binary,
		"--bind", "127.0.0.1", "--port", port, "--requirepass", s.password, "--save", "", "--appendonly", "no", "--dir", s.folder)
	process.Dir = s.folder
	process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdin, err := process.StdinPipe()
	if err != nil {
		return err
	}
	if err := process.Start(); err != nil {
		return err
	}
	s.process, s.supervisor = process, stdin
	return s.awaitStart()
}

func (s *Server) awaitStart() error {
	var err error
	for range 15000 {
		var reply string
		if reply, err = s.Do("PING"); err == nil && reply == "+PONG" {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	log, _ := os.ReadFile(s.folder + "/log")
	s.Stop()
	return fmt.Errorf("the server does not respond: %w\n%s", err, log)
}

// Stop kills the server. Its port is closed until Run.
func (s *Server) Stop() {
	if s.process == nil {
		return
	}
	_ = s.supervisor.Close()
	_ = s.process.Wait()
	s.process = nil
}

// Do sends a command and returns the first line of the reply.
func (s *Server) Do(command string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", s.address)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return "", err
	}
	if _, err := fmt.Fprintf(conn, "AUTH %s\r\n%s\r\n", s.password, command); err != nil {
		return "", err
	}
	replies := bufio.NewReader(conn)
	authReply, err := replies.ReadString('\n')
	if err != nil {
		return "", err
	}
	if !strings.HasPrefix(authReply, "+OK") {
		return "", errors.New(strings.TrimSpace(authReply))
	}
	reply, err := replies.ReadString('\n')
	return strings.TrimSpace(reply), err
}

// URL returns the URL of the server's first database, including the password.
func (s *Server) URL() string {
	return (&url.URL{Scheme: "redis", User: url.UserPassword("", s.password), Host: s.address, Path: "/0"}).String()
}

// Password returns the password, which must not be printed.
func (s *Server) Password() string { return s.password }
