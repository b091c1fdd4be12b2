package cluster

import (
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// keysRefreshed is the log message of a node of testClockRelease after each refresh of the signing keys.
const keysRefreshed = "signing keys refreshed"

const clockShiftSource = `package system

import (
	"os"
	"time"
)

func shift() time.Duration {
	text, err := os.ReadFile(os.Getenv("TEST_CLOCK"))
	if err != nil {
		panic(err)
	}
	offset, err := time.ParseDuration(string(text))
	if err != nil {
		panic(err)
	}
	skew, err := time.ParseDuration(os.Getenv("TEST_SKEW"))
	if err != nil {
		panic(err)
	}
	return offset + skew
}
`

const refreshKeysSource = `package jobs

import "context"

func (j *Jobs) refreshKeys(ctx context.Context) error {
	err := j.usecases.SigningKeys.Refresh(ctx)
	j.log.Warn("` + keysRefreshed + `")
	return err
}
`

// testClockRelease builds a program that adds the offset in a file to its clock, and that refreshes its signing keys more often,
// since its days are shorter.
func testClockRelease(t *testing.T) string {
	t.Helper()
	path, err := build("testclock", edits{
		"adapters/system/clock.go": replacing("time.Now().UTC()", "time.Now().Add(shift()).UTC()"),
		"adapters/system/shift.go": newFile(clockShiftSource),
		"adapters/jobs/jobs.go": replacing(`30*time.Second, jobRefreshSigningKeys, withTimeout(j.usecases.SigningKeys.Refresh)`,
			`50*time.Millisecond, jobRefreshSigningKeys, withTimeout(j.refreshKeys)`),
		"adapters/jobs/refreshkeys.go": newFile(refreshKeysSource),
	})
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// clock is the time of all nodes of testClockRelease, apart from the skew of each node.
type clock struct {
	t      *testing.T
	file   string
	offset atomic.Int64
}

func newClock(t *testing.T) *clock {
	t.Helper()
	c := &clock{t: t, file: filepath.Join(t.TempDir(), "clock")}
	c.advance(0)
	return c
}

func (c *clock) now() time.Time { return time.Now().Add(time.Duration(c.offset.Load())) }

// advance advances the clocks of all nodes at once. The test's own clock advances slightly earlier.
func (c *clock) advance(duration time.Duration) {
	c.t.Helper()
	offset := time.Duration(c.offset.Add(int64(duration)))
	temporary := c.file + ".tmp"
	if err := os.WriteFile(temporary, []byte(offset.String()), 0o600); err != nil {
		c.t.Fatal(err)
	}
	if err := os.Rename(temporary, c.file); err != nil {
		c.t.Fatal(err)
	}
}
