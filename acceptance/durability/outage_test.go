package durability

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3/driver"

	"github.com/keylodge/keylodge/acceptance/testkit/keylodgeserver"
	"github.com/keylodge/keylodge/acceptance/testkit/require"
	"github.com/keylodge/keylodge/acceptance/testkit/smalldisk"
)

// While the server cannot write, it reports 503 to clients and on readyz, and loses nothing. It recovers when the cause ends.
// Requirement: Durability-outages
func TestOutage_IsReportedAndLosesNothing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		folder func(*testing.T) string
		begin  func(*testing.T, *server) (restore func())
		advice string // in the log
	}{
		"the disk is full":               {smallDisk, fillDisk, "free space"},
		"every write fails":              {(*testing.T).TempDir, failWrites, "read the system's log: the disk is failing"},
		"another process locks the file": {(*testing.T).TempDir, lockDatabase, "stop the other process that has locked the database"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, c.folder(t))
			s.Start()
			load := newLoad(t, s)
			load.runFor(200)
			load.run((*worker).verifyAll)

			s.outage.Store(true)
			restore := c.begin(t, s)
			started := time.Now()
			var done atomic.Bool
			working := load[1:].startUntil(done.Load) // requireReads reads the model of the first worker, which must not change meanwhile
			s.waitUntilUnready(t)
			noticed := time.Since(started)
			s.awaitAnswers(20) // few enough for a server that waits five seconds for the lock each time
			s.waitUntilUnready(t)
			if status, _ := s.Get("/livez"); status != http.StatusOK {
				t.Errorf("livez is %d, want 200: a restart would not help", status)
			}
			load.requireReads(t)
			done.Store(true)
			working.Wait()

			restore()
			ended := time.Now()
			for !s.IsReady() && time.Since(ended) < keylodgeserver.Timeout {
				time.Sleep(10 * time.Millisecond)
			}
			recovered := time.Since(ended)
			s.outage.Store(false)
			load.run((*worker).verifyAll) // requests that got 503 changed nothing
			load.runFor(200)
			s.Kill()
			s.Start()
			load.run((*worker).verifyAll)
			load.run((*worker).verifyFormer)
			requireIntegrity(t, s)

			sum, accounts := load.sum()
			if sum.refused == 0 {
				t.Error("no request got 503: there was no outage")
			}
			if !strings.Contains(s.Logs(), c.advice) {
				t.Errorf("the log has no %q", c.advice)
			}
			t.Logf("%d requests got 503; readyz was 503 after %d ms, and 200 again %d ms after the cause ended; %d writes acknowledged, %d accounts verified",
				sum.refused, noticed.Milliseconds(), recovered.Milliseconds(), total(sum.acknowledged), accounts)
		})
	}
}

// waitUntilUnready waits until readyz is 503. On a full disk, SQLite first reuses the space of its write-ahead log, so that
// writes succeed for a while.
func (s *server) waitUntilUnready(t *testing.T) {
	t.Helper()
	started := time.Now()
	status, header := s.Get("/readyz")
	for status == http.StatusOK && time.Since(started) < keylodgeserver.Timeout {
		time.Sleep(10 * time.Millisecond)
		status, header = s.Get("/readyz")
	}
	if status != http.StatusServiceUnavailable || header.Get("Retry-After") == "" {
		t.Errorf("readyz is %d with headers %v", status, header)
	}
}

// runFor runs all workers until the server has sent this number of responses.
func (s load) runFor(answers int64) {
	server := s[0].caller.server
	enough := server.answered.Load() + answers
	s.startUntil(func() bool { return server.answered.Load() >= enough }).Wait()
}

// requireReads fails the test if a session cannot be read.
func (s load) requireReads(t *testing.T) {
	t.Helper()
	sessions := 0
	for _, p := range s[0].people {
		if p.deleted {
			continue
		}
		for _, usable := range p.usableSessions() {
			sessions++
			if got, err := newAPIClient(s[0].caller.server).send(p.ip, request{method: http.MethodGet, path: "/v1/session", in: usable}); err != nil || !got.OK() {
				t.Errorf("reading a session: got %d %s, %v", got.StatusCode, got.Body, err)
			}
		}
	}
	if sessions == 0 {
		t.Error("no session was checked")
	}
}

// smallDisk returns a folder on a disk of 16 MB.
func smallDisk(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	smalldisk.Mount(t, folder, "16m", 0o700)
	return folder
}

func fillDisk(t *testing.T, s *server) (restore func()) {
	t.Helper()
	path := filepath.Join(s.Folder, "filler")
	smalldisk.Fill(t, path)
	return func() {
		if err := os.Remove(path); err != nil {
			t.Error(err)
		}
	}
}

// failWrites limits the file size of the process to one byte, so that SQLite's writes fail with an I/O error.
func failWrites(t *testing.T, s *server) (restore func()) {
	t.Helper()
	limit := func(to string) {
		output, err := exec.Command("prlimit", "--pid", strconv.Itoa(s.Process().PID()), "--fsize="+to+":").CombinedOutput()
		if errors.Is(err, exec.ErrNotFound) {
			t.Log(err)
			require.Missing(t, require.Tools)
		}
		if err != nil {
			t.Fatalf("%v: %s", err, output)
		}
	}
	limit("1")
	return func() { limit("unlimited") }
}

// lockDatabase holds the write lock of the database, as a slow writer of another process does.
func lockDatabase(t *testing.T, s *server) (restore func()) {
	t.Helper()
	db, err := driver.Open("file:" + s.database() + "?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := db.Conn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	execute := func(statement string) {
		if _, err := conn.ExecContext(context.Background(), statement); err != nil {
			t.Fatal(fmt.Errorf("%s: %w", statement, err))
		}
	}
	execute("BEGIN IMMEDIATE")
	return func() {
		execute("ROLLBACK")
		if err := errors.Join(conn.Close(), db.Close()); err != nil {
			t.Error(err)
		}
	}
}
