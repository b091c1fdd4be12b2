package cluster

import (
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// keysRefreshed is the log message of a node of testclock after each refresh of the signing keys.
const keysRefreshed = "signing keys refreshed"

// clock is the time of all nodes of testclock, apart from the skew of each node.
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
