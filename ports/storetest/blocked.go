package storetest

import (
	"runtime"
	"strings"
	"testing"
	"time"
)

// AwaitBlocked returns when n goroutines wait for a channel, a lock or the network inside the named function, such as
// "sqlite.(*writer).update". It fails the test after a timeout.
func AwaitBlocked(t testing.TB, n int, function string) {
	t.Helper()
	const timeout = 5 * time.Minute // reached only if the test fails
	for deadline := time.Now().Add(timeout); blockedIn(function) < n; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines wait in %s, want %d", blockedIn(function), function, n)
		}
	}
}

// blockedIn counts the goroutines that wait inside the function, from the stacks of the runtime.
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
		state, _, _ = strings.Cut(state, ",") // the waiting time follows
		switch {
		case !strings.Contains(frames, function+"("):
		case state == "select", state == "chan send", state == "chan receive", state == "IO wait", state == "semacquire", strings.HasPrefix(state, "sync."):
			n++
		}
	}
	return n
}
