package nodes

import (
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// keysRefreshed is what a node of testClockRelease says whenever it has looked after the signing keys.
const keysRefreshed = "the signing keys are kept"

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

const refreshKeysSource = `package jobs

import "context"

func (j *Jobs) keepKeys(ctx context.Context) error {
	err := j.usecases.Maintenance.RefreshSigningKeys.Execute(ctx)
	j.log.Warn("` + keysRefreshed + `")
	return err
}
`

// testClockRelease is the program of the sources with a clock that a file carries away, and which looks after its keys so much
// more often as its days are shorter.
func testClockRelease(t *testing.T) string {
	t.Helper()
	path, err := build("carried", edits{
		"adapters/system/clock.go": replacing("time.Now().UTC()", "time.Now().Add(shift()).UTC()"),
		"adapters/system/shift.go": newFile(clockShiftSource),
		"adapters/jobs/jobs.go": replacing(`30*time.Second, "keeping the signing keys", withTimeout(j.usecases.Maintenance.RefreshSigningKeys.Execute)`,
			`50*time.Millisecond, "keeping the signing keys", withTimeout(j.keepKeys)`),
		"adapters/jobs/keeping.go": newFile(refreshKeysSource),
	})
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// clock is the time of all nodes of testClockRelease, but for the few seconds that each is off.
type clock struct {
	t      *testing.T
	file   string
	offset atomic.Int64
}

func newClock(t *testing.T) *clock {
	t.Helper()
	k := &clock{t: t, file: filepath.Join(t.TempDir(), "clock")}
	k.advance(0)
	return k
}

func (k *clock) now() time.Time { return time.Now().Add(time.Duration(k.offset.Load())) }

// advance moves all clocks on at one moment. Here it is later a little before.
func (k *clock) advance(on time.Duration) {
	k.t.Helper()
	by := time.Duration(k.offset.Add(int64(on)))
	draft := k.file + ".draft"
	if err := os.WriteFile(draft, []byte(by.String()), 0o600); err != nil {
		k.t.Fatal(err)
	}
	if err := os.Rename(draft, k.file); err != nil {
		k.t.Fatal(err)
	}
}
