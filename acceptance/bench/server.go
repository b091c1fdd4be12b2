package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/keylodgeserver"
	"github.com/keylodge/keylodge/acceptance/testkit/postgresserver"
	"github.com/keylodge/keylodge/acceptance/testkit/process"
)

// server is a process under test, pinned to the core of the servers.
type server struct {
	name    string
	dialect dialect
	origin  string // for ceremonies
	host    string // of its listener
	command []string
	folder  string // its working directory, with its database and its log
	env     []string
	cores   *cores

	process *process.Process
	start   time.Duration                 // until the first response
	filled  bool                          // with the users of SCALE
	stop    func() error                  // ends its database
	cpu     func() (time.Duration, error) // of the server and its database
	users   users
}

// newKeylodge returns the product's server with its default settings, but without rate limits. More settings override them.
func newKeylodge(name, binary, folder string, cores *cores, settings ...string) (*server, error) {
	host, err := process.FreeAddress()
	if err != nil {
		return nil, err
	}
	opsHost, err := process.FreeAddress()
	if err != nil {
		return nil, err
	}
	return &server{
		name: name, dialect: keylodge{}, origin: "http://" + strings.Replace(host, "127.0.0.1", "localhost", 1), host: host,
		command: []string{binary}, folder: folder, cores: cores,
		env: append(keylodgeserver.Environment("KEYLODGE_LISTEN="+host, "KEYLODGE_OPS_LISTEN="+opsHost, "KEYLODGE_RATE_LIMITS=off"), settings...),
	}, nil
}

// newOnPostgres returns the product's server with a PostgreSQL of its own on the same core, which writes each commit to disk.
func newOnPostgres(name, binary, folder string, cores *cores) (*server, error) {
	var database *postgresserver.Server
	err := cores.onServerCore(func() (err error) {
		database, err = postgresserver.Start("fsync=on", "full_page_writes=on", "autovacuum=on", "shared_buffers=128MB")
		return err
	})
	if err != nil {
		return nil, err
	}
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails
	s, err := newKeylodge(name, binary, folder, cores, "KEYLODGE_DATABASE_URL="+database.URL("postgres"),
		"KEYLODGE_SECRET="+base64.StdEncoding.EncodeToString(secret))
	if err != nil {
		return nil, errors.Join(err, database.Close())
	}
	s.stop = database.Close
	s.cpu = func() (time.Duration, error) { return cpuWithPostgres(s.process.PID(), database.Data()) }
	return s, nil
}

// cpuWithPostgres returns the CPU time of a server and of all processes of the PostgreSQL with this data folder.
func cpuWithPostgres(pid int, data string) (time.Duration, error) {
	text, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	if err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(string(text), "\n")
	postmaster, err := strconv.Atoi(first)
	if err != nil {
		return 0, err
	}
	backends, err := children(postmaster)
	if err != nil {
		return 0, err
	}
	var sum time.Duration
	for _, process := range append(backends, pid, postmaster) {
		used, err := cpuTime(process)
		if err != nil && process != pid && process != postmaster {
			continue // the backend has ended
		}
		if err != nil {
			return 0, err
		}
		sum += used
	}
	return sum, nil
}

// newPeer returns the server of PEER: its origin, a space, and its command.
func newPeer(peer, folder string, cores *cores) (*server, error) {
	words := strings.Fields(peer)
	if len(words) < 2 || !strings.HasPrefix(words[0], "http://localhost:") {
		return nil, fmt.Errorf(`invalid PEER %q: want an origin and a command, for example "http://localhost:3000 node server.js"`, peer)
	}
	port := strings.TrimPrefix(words[0], "http://localhost:")
	return &server{
		name: "peer", dialect: plain{}, origin: words[0], host: net.JoinHostPort("127.0.0.1", port), command: words[1:],
		folder: folder, env: os.Environ(), cores: cores,
	}, nil
}

// startTimeout is the longest time until a server must respond.
const startTimeout = 5 * time.Minute

// run starts the process and waits for its first response.
func (s *server) run() error {
	log, err := os.OpenFile(filepath.Join(s.folder, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	command := exec.CommandContext(context.Background(), s.command[0], s.command[1:]...)
	command.Dir, command.Env, command.Stdout, command.Stderr = s.folder, s.env, log, log
	began := time.Now()
	err = s.cores.onServerCore(func() (err error) {
		s.process, err = process.Start(command)
		return err
	})
	if err != nil {
		return err
	}
	if s.cpu == nil {
		s.cpu = func() (time.Duration, error) { return cpuTime(s.process.PID()) }
	}
	for time.Since(began) < startTimeout {
		select {
		case <-s.process.Exited():
			text, _ := os.ReadFile(log.Name())
			return fmt.Errorf("%s: the server has exited:\n%s", s.name, text)
		case <-time.After(time.Millisecond):
		}
		if s.responds() {
			s.start = time.Since(began)
			return nil
		}
	}
	s.kill()
	return fmt.Errorf("%s: no response from %s", s.name, s.origin)
}

func (s *server) responds() bool {
	c, err := dial(s.host)
	if err != nil {
		return false
	}
	defer c.close()
	_, err = c.do("GET", s.dialect.health(), nil)
	return err == nil
}

// close ends the server and its database. The receiver may be nil.
func (s *server) close() error {
	if s == nil {
		return nil
	}
	s.kill()
	if s.stop != nil {
		return s.stop()
	}
	return nil
}

// kill ends the process with SIGKILL if it was started.
func (s *server) kill() {
	if s.process != nil {
		s.process.Kill()
	}
}
