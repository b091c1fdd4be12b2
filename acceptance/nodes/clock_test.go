package nodes

import (
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// kept is what a node of carriedRelease says whenever it has looked after the signing keys.
const kept = "the signing keys are kept"

const shift = `package system

import (
	"os"
	"time"
)

func shift() time.Duration {
	text, err := os.ReadFile(os.Getenv("TEST_CLOCK"))
	if err != nil {
		panic(err)
	}
	carried, err := time.ParseDuration(string(text))
	if err != nil {
		panic(err)
	}
	skew, err := time.ParseDuration(os.Getenv("TEST_SKEW"))
	if err != nil {
		panic(err)
	}
	return carried + skew
}
`

const keeping = `package jobs

import "context"

func (j *Jobs) keepKeys(ctx context.Context) error {
	err := j.usecases.Housekeeping.KeepKeys.Execute(ctx)
	j.log.Warn("` + kept + `")
	return err
}
`

// carriedRelease is the program of the sources with a clock that a file carries away, and which looks after its keys so much
// more often as its days are shorter.
func carriedRelease(t *testing.T) string {
	t.Helper()
	path, err := build("carried", edits{
		"adapters/system/clock.go": replacing("time.Now().UTC()", "time.Now().Add(shift()).UTC()"),
		"adapters/system/shift.go": saying(shift),
		"adapters/jobs/jobs.go": replacing(`30*time.Second, "keeping the signing keys", patiently(j.usecases.Housekeeping.KeepKeys.Execute)`,
			`50*time.Millisecond, "keeping the signing keys", patiently(j.keepKeys)`),
		"adapters/jobs/keeping.go": saying(keeping),
	})
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// clock is the time of all nodes of carriedRelease, but for the few seconds that each is off.
type clock struct {
	t    *testing.T
	file string
	by   atomic.Int64
}

func newClock(t *testing.T) *clock {
	t.Helper()
	k := &clock{t: t, file: filepath.Join(t.TempDir(), "clock")}
	k.carry(0)
	return k
}

func (k *clock) now() time.Time { return time.Now().Add(time.Duration(k.by.Load())) }

// carry moves all clocks on at one moment. Here it is later a little before.
func (k *clock) carry(on time.Duration) {
	k.t.Helper()
	by := time.Duration(k.by.Add(int64(on)))
	draft := k.file + ".draft"
	if err := os.WriteFile(draft, []byte(by.String()), 0o600); err != nil {
		k.t.Fatal(err)
	}
	if err := os.Rename(draft, k.file); err != nil {
		k.t.Fatal(err)
	}
}
