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
	"syscall"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3/driver"
)

// What keeps the server from writing is told to whoever asks, loses nothing, and is over when its cause is.
func TestOutage_IsReportedAndLosesNothing(t *testing.T) {
	for name, c := range map[string]struct {
		folder func(*testing.T) string
		begins func(*testing.T, *server) (ends func())
		advice string // what the log tells the operator to do
	}{
		"the disk is full":             {smallDisk, fillDisk, "make room"},
		"every write fails":            {(*testing.T).TempDir, failWrites, "look into the system's log"},
		"somebody else locks the file": {(*testing.T).TempDir, lockDatabase, "end the other process"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, c.folder(t))
			s.start()
			staff := newLoad(t, s)
			staff.runFor(200)
			staff.run((*worker).verifyAll)

			s.outage.Store(true)
			ends := c.begins(t, s)
			begun := time.Now()
			var over atomic.Bool
			working := staff[1:].startUntil(over.Load) // the first one only looks: books that are written cannot be read
			s.waitUntilUnready(t)
			noticed := time.Since(begun)
			s.awaitAnswers(20) // also a server that waits for a lock, five seconds each time, refuses so many
			s.waitUntilUnready(t)
			if status, _ := s.get("/livez"); status != http.StatusOK {
				t.Errorf("livez says %d: whoever restarts it for that helps nobody", status)
			}
			staff.requireReads(t)
			over.Store(true)
			working.Wait()

			ends()
			ended := time.Now()
			for !s.isReady() && time.Since(ended) < serverTimeout {
				time.Sleep(10 * time.Millisecond)
			}
			recovered := time.Since(ended)
			s.outage.Store(false)
			staff.run((*worker).verifyAll) // as they were told, 503 included
			staff.runFor(200)
			s.kill()
			s.start()
			staff.run((*worker).verifyAll)
			staff.run((*worker).verifyFormer)
			requireIntegrity(t, s)

			sum, people := staff.sum()
			if sum.refused == 0 {
				t.Error("nobody was refused: there was no outage")
			}
			if !strings.Contains(s.log.text(), c.advice) {
				t.Errorf("the log does not say %q", c.advice)
			}
			t.Logf("%d refused with 503; told by readyz after %d ms, over %d ms after its cause; %d writes acknowledged, %d people looked at again",
				sum.refused, noticed.Milliseconds(), recovered.Milliseconds(), total(sum.acknowledged), people)
		})
	}
}

// waitUntilUnready waits until readyz says that the server is of no use. A log that has room is written first, also on a full disk,
// and again once it has begun anew.
func (s *server) waitUntilUnready(t *testing.T) {
	t.Helper()
	begun := time.Now()
	status, header := s.get("/readyz")
	for status == http.StatusOK && time.Since(begun) < serverTimeout {
		time.Sleep(10 * time.Millisecond)
		status, header = s.get("/readyz")
	}
	if status != http.StatusServiceUnavailable || header.Get("Retry-After") == "" {
		t.Errorf("readyz says %d %v", status, header)
	}
}

func (s *server) isReady() bool {
	status, _ := s.get("/readyz")
	return status == http.StatusOK
}

// runFor has everybody work until the server has given so many answers.
func (s load) runFor(answers int64) {
	server := s[0].caller.server
	enough := server.answered.Load() + answers
	s.startUntil(func() bool { return server.answered.Load() >= enough }).Wait()
}

// requireReads makes sure that whoever is signed in still is.
func (s load) requireReads(t *testing.T) {
	t.Helper()
	asked := 0
	for _, p := range s[0].people {
		if p.deleted {
			continue
		}
		for _, held := range p.usableSessions() {
			asked++
			if got, err := newAPIClient(s[0].caller.server, p.ip).send(http.MethodGet, "/v1/session", nil, held); err != nil || !got.ok() {
				t.Errorf("meanwhile a session is answered with %d %s, %v", got.status, got.body, err)
			}
		}
	}
	if asked == 0 {
		t.Error("nobody is signed in")
	}
}

// smallDisk is one of a few megabytes. Only root may make one; where REQUIRE_DISK is set the test must not be skipped.
func smallDisk(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	if err := syscall.Mount("keylodge-test", folder, "tmpfs", 0, "size=16m,mode=0700"); err != nil {
		if os.Getenv("REQUIRE_DISK") != "" {
			t.Fatalf("no small disk can be mounted, and REQUIRE_DISK is set: %v", err)
		}
		t.Skipf("only root can mount a small disk: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(folder, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return folder
}

func fillDisk(t *testing.T, s *server) (ends func()) {
	t.Helper()
	path := filepath.Join(s.folder, "filler")
	filler, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer filler.Close()
	for _, size := range []int{1 << 20, 1 << 12} {
		for err = nil; err == nil; {
			_, err = filler.Write(make([]byte, size))
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
	}
	return func() {
		if err := os.Remove(path); err != nil {
			t.Error(err)
		}
	}
}

// failWrites lets no file of the process grow past its first byte, nor be written beyond it: for SQLite an I/O error.
func failWrites(t *testing.T, s *server) (ends func()) {
	t.Helper()
	limit := func(to string) {
		said, err := exec.Command("prlimit", "--pid", strconv.Itoa(s.process.Process.Pid), "--fsize="+to+":").CombinedOutput()
		if errors.Is(err, exec.ErrNotFound) {
			t.Skip(err)
		}
		if err != nil {
			t.Fatalf("%v: %s", err, said)
		}
	}
	limit("1")
	return func() { limit("unlimited") }
}

// lockDatabase is what another program does that writes and is slow about it.
func lockDatabase(t *testing.T, s *server) (ends func()) {
	t.Helper()
	db, err := driver.Open("file:" + s.database() + "?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := db.Conn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	do := func(statement string) {
		if _, err := conn.ExecContext(context.Background(), statement); err != nil {
			t.Fatal(fmt.Errorf("%s: %w", statement, err))
		}
	}
	do("BEGIN IMMEDIATE")
	return func() {
		do("ROLLBACK")
		if err := errors.Join(conn.Close(), db.Close()); err != nil {
			t.Error(err)
		}
	}
}
