// Package postgresserver runs a private PostgreSQL for tests, on a Unix socket in its own folder and without a TCP port. The
// server ends and its folder is removed when the process that started it ends, also after a crash.
package postgresserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keylodge/keylodge/acceptance/testkit/process"
)

// superuser is the database superuser. Its socket needs no password.
const superuser = "keylodge"

// settings suit tests: data need not survive a power failure, and many databases are created.
var settings = []string{
	"listen_addresses=", "max_connections=200", "shared_buffers=32MB", "fsync=off", "full_page_writes=off",
	"autovacuum=off", "logging_collector=off",
}

// Server is a running PostgreSQL server.
type Server struct {
	binaries   string
	folder     string // socket, data and log
	settings   []string
	process    *exec.Cmd
	supervisor io.Closer // closing it ends the process
}

// ErrNotInstalled is returned if no supported PostgreSQL is found.
var ErrNotInstalled = errors.New("no PostgreSQL 15 or newer is installed")

// Start creates and starts a server with an empty database postgres. More settings, such as fsync=on, override the defaults.
func Start(more ...string) (*Server, error) {
	binaries, err := findBinaries()
	if err != nil {
		return nil, err
	}
	// The folder is not in the test's own, because the path of a Unix socket is limited to 107 bytes.
	folder, err := os.MkdirTemp("", "pg")
	if err != nil {
		return nil, err
	}
	s := &Server{binaries: binaries, folder: folder, settings: append(slices.Clone(settings), more...)}
	if err := s.createData(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(folder))
	}
	if err := s.Run(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(folder))
	}
	return s, nil
}

// initialFolder contains the data that initdb creates. A copy of it takes a fifth of initdb's CPU time.
var initialFolder = sync.OnceValues(func() (*process.Folder, error) {
	binaries, err := findBinaries()
	if err != nil {
		return nil, err
	}
	folder, err := process.NewFolder()
	if err != nil {
		return nil, err
	}
	if err := chown(folder.Path); err != nil {
		return nil, err
	}
	return folder, runAsServer(folder.Path, filepath.Join(binaries, "initdb"), "--pgdata="+filepath.Join(folder.Path, "data"), "--username="+superuser,
		"--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions")
})

func (s *Server) createData() error {
	initial, err := initialFolder()
	if err != nil {
		return err
	}
	if err := s.Chown(s.folder); err != nil {
		return err
	}
	return runAsServer(s.folder, "cp", "-Rp", filepath.Join(initial.Path, "data"), s.Data())
}

// runAsServer runs a program as the user that the server runs as.
func runAsServer(folder, program string, arguments ...string) error {
	owner, err := serverUser()
	if err != nil {
		return err
	}
	command := exec.CommandContext(context.Background(), program, arguments...)
	command.Dir = folder
	command.SysProcAttr = &syscall.SysProcAttr{Credential: owner}
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", filepath.Base(program), err, output)
	}
	return nil
}

// supervisorScript runs the server until its standard input ends: the kernel closes the pipe when the process at its other end
// has ended. Then it stops the server immediately, and removes the folder unless it got the word stop.
const supervisorScript = `
trap '' INT TERM HUP
"$@" </dev/null &
server=$!
read -r word
kill -QUIT $server
wait $server
test "$word" = stop || rm -rf "$FOLDER"
`

// Run starts the server again after Stop.
func (s *Server) Run() error {
	owner, err := serverUser()
	if err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(s.folder, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	arguments := []string{"-c", supervisorScript, "supervisor", filepath.Join(s.binaries, "postgres"), "-D", s.Data(), "-k", s.folder}
	for _, setting := range s.settings {
		arguments = append(arguments, "-c", setting)
	}
	process := exec.CommandContext(context.Background(), "sh", arguments...)
	process.Dir = s.folder
	process.Env = []string{"FOLDER=" + s.folder, "PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}
	process.Stdout, process.Stderr = log, log
	// A separate process group, so that an interrupt at a terminal does not reach the server before the supervisor.
	process.SysProcAttr = &syscall.SysProcAttr{Credential: owner, Setpgid: true}
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
	for deadline := time.Now().Add(2 * serverTimeout); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if err = s.Exec("postgres", "SELECT 1"); err == nil {
			return nil
		}
	}
	log, _ := os.ReadFile(filepath.Join(s.folder, "log"))
	return errors.Join(fmt.Errorf("the server does not respond: %w\n%s", err, bytes.TrimSpace(log)), s.Close())
}

// Stop ends the server immediately, and keeps its data for Run.
func (s *Server) Stop() error {
	if _, err := io.WriteString(s.supervisor.(io.Writer), "stop\n"); err != nil {
		return err
	}
	return s.process.Wait()
}

// Close ends the server and removes its folder.
func (s *Server) Close() error {
	return errors.Join(s.supervisor.Close(), s.process.Wait(), os.RemoveAll(s.folder))
}

// serverTimeout is the longest time for an operation of a working server, also on a slow disk.
const serverTimeout = 5 * time.Minute

// Exec runs statements in one of the server's databases.
func (s *Server) Exec(database, statements string) error {
	ctx, cancel := context.WithTimeout(context.Background(), serverTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.URL(database))
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, statements, pgx.QueryExecModeSimpleProtocol)
	return errors.Join(err, conn.Close(ctx))
}

// URL returns the URL of a database of the server.
func (s *Server) URL(database string) string {
	query := url.Values{"host": {s.folder}, "connect_timeout": {"60"}} // a busy machine may need more than the default 5 s
	for _, setting := range s.settings {
		if port, found := strings.CutPrefix(setting, "port="); found {
			query.Set("port", port) // in the name of the socket, too
		}
	}
	return (&url.URL{Scheme: "postgres", User: url.User(superuser), Path: "/" + database, RawQuery: query.Encode()}).String()
}

// Data returns the server's data folder.
func (s *Server) Data() string { return filepath.Join(s.folder, "data") }

// Chown changes the owner of a file to the user that the server runs as.
func (s *Server) Chown(path string) error { return chown(path) }

func chown(path string) error {
	owner, err := serverUser()
	if err != nil || owner == nil {
		return err
	}
	return os.Chown(path, int(owner.Uid), int(owner.Gid))
}

// findBinaries searches the usual folders and returns that of the newest PostgreSQL. The PATH is not enough: Debian has psql on it
// but not the server.
func findBinaries() (string, error) {
	var folders []string
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			folders = append(folders, filepath.Dir(path))
		}
	}
	for _, pattern := range []string{"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin", "/usr/local/opt/postgresql@*/bin"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return "", err
		}
		folders = append(folders, found...)
	}
	best, folder := 0, ""
	for _, f := range folders {
		if version := majorVersion(f); version > best {
			best, folder = version, f
		}
	}
	if best < 15 {
		return "", ErrNotInstalled
	}
	return folder, nil
}

// majorVersion returns the major version of the PostgreSQL server in the folder, or 0 without one.
func majorVersion(folder string) int {
	output, err := exec.CommandContext(context.Background(), filepath.Join(folder, "postgres"), "--version").Output() // postgres (PostgreSQL) 15.18 (…)
	words := bytes.Fields(output)
	if err != nil || len(words) < 3 {
		return 0
	}
	major, _, _ := bytes.Cut(words[2], []byte("."))
	version, err := strconv.Atoi(string(major))
	if err != nil {
		return 0
	}
	return version
}

// serverUser returns the user to run the server as if this process is root, because PostgreSQL does not run as root: postgres,
// which its package creates, or nobody. Otherwise it returns nil.
func serverUser() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, errors.Join(uidErr, gidErr)
	}
	return nil, fmt.Errorf("PostgreSQL does not run as root, and this %s has neither a user postgres nor nobody", runtime.GOOS)
}
