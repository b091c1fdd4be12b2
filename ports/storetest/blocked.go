package storetest

import (
	"runtime"
	"strings"
	"testing"
	"time"
)

// AwaitBlocked returns once n goroutines wait inside the function of that name, such as "sqlite.(*writer).update", for a channel, a
// lock or the network. It fails the test if they never do.
func AwaitBlocked(t testing.TB, n int, function string) {
	t.Helper()
	const limit = 5 * time.Minute // for a test that hangs
	for deadline := time.Now().Add(limit); blockedIn(function) < n; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines wait in %s, want %d", blockedIn(function), function, n)
		}
	}
}

// blockedIn counts the goroutines that wait inside the function, by the stacks that the runtime writes.
func blockedIn(function string) (n int) {
	stacks := make([]byte, 1<<20)
	for size := runtime.Stack(stacks, true); ; size = runtime.Stack(stacks, true) {
		if size < len(stacks) {
			stacks = stacks[:size]
			break
		}
		stacks = make([]byte, 2*len(stacks))
	}
	for goroutine := range strings.SplitSeq(string(stacks), "\n\n") {
		header, frames, _ := strings.Cut(goroutine, "\n")
		_, state, _ := strings.Cut(header, "[")
		state, _, _ = strings.Cut(state, "]")
		state, _, _ = strings.Cut(state, ",") // after which it says for how long
		switch {
		case !strings.Contains(frames, function+"("):
		case state == "select", state == "chan send", state == "chan receive", state == "IO wait", state == "semacquire", strings.HasPrefix(state, "sync."):
			n++
		}
	}
	return n
}
