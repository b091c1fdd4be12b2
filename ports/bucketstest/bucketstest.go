// Package bucketstest tests the contract of ports.Buckets. Every adapter runs these tests.
package bucketstest

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Pair are the same buckets as two nodes use them; First equals Second if they cannot be shared. Wait waits for the duration
// on the buckets' clock.
type Pair struct {
	First, Second ports.Buckets
	Wait          func(time.Duration)
}

// Run tests the contract. open returns new buckets.
func Run(t *testing.T, open func(t *testing.T) Pair) {
	for rule, test := range map[string]func(t *testing.T, here, there ports.Buckets, wait func(time.Duration)){
		"a bucket gives its capacity and then no token":             quota,
		"concurrent calls get as many tokens as there are":          concurrentTakes,
		"buckets are independent":                                   independence,
		"a bucket refills evenly up to its capacity":                refill,
		"deleting full buckets changes no state":                    deleteExpired,
		"a denied call takes no token":                              deniedTakesNothing,
		"a call with a canceled context takes no token if it fails": canceledContext,
	} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel() // the tests mostly wait
			shared := open(t)
			test(t, shared.First, shared.Second, shared.Wait)
		})
	}
}

// tolerance bounds rounding errors.
const tolerance = time.Millisecond

func bucket(quota int, window time.Duration) domain.Bucket {
	b := domain.Bucket{Limit: domain.RateLimit{Quota: quota, Window: window}}
	rand.Read(b.Subject[:])
	return b
}

func take(t *testing.T, b ports.Buckets, from ...domain.Bucket) []domain.BucketState {
	t.Helper()
	states, err := b.Take(t.Context(), from...)
	if err != nil {
		t.Fatal(err)
	}
	if len(states) != len(from) {
		t.Fatalf("%d states of %d buckets", len(states), len(from))
	}
	return states
}

func quota(t *testing.T, here, there ports.Buckets, _ func(time.Duration)) {
	one := bucket(5, time.Hour)
	for left := 4; left >= 0; left-- {
		node := here
		if left%2 == 0 {
			node = there
		}
		state := take(t, node, one)[0]
		if !state.Allowed || state.Remaining != left || state.NextTokenIn <= 0 || state.NextTokenIn > one.Limit.Interval()+tolerance {
			t.Fatalf("with %d tokens left: %+v", left, state)
		}
	}
	for _, node := range []ports.Buckets{here, there} {
		state := take(t, node, one)[0]
		if state.Allowed || state.Remaining != 0 || state.NextTokenIn < 11*time.Minute || state.NextTokenIn > one.Limit.Interval()+tolerance {
			t.Errorf("an empty bucket: %+v", state)
		}
	}
}

func concurrentTakes(t *testing.T, here, there ports.Buckets, _ func(time.Duration)) {
	for range 10 { // a race shows rarely
		takeConcurrently(t, here, there)
	}
}

func takeConcurrently(t *testing.T, here, there ports.Buckets) {
	t.Helper()
	const takers, quota = 64, 40
	one, another := bucket(quota, 24*time.Hour), bucket(1000, 24*time.Hour)
	got := make([]domain.BucketState, takers)
	errs := make([]error, takers)
	start := make(chan struct{})
	var taking sync.WaitGroup
	for i := range takers {
		taking.Go(func() {
			<-start
			node := here
			if i%2 == 1 {
				node = there
			}
			states, err := node.Take(context.Background(), one, another)
			if errs[i] = err; err == nil {
				got[i] = states[0]
				if !states[1].Allowed {
					errs[i] = fmt.Errorf("no token in the other bucket: %+v", states[1])
				}
			}
		})
	}
	close(start)
	taking.Wait()
	taken := 0
	for i := range takers {
		if errs[i] != nil {
			t.Fatal(errs[i])
		}
		if got[i].Allowed {
			taken++
		} else if got[i].NextTokenIn <= 0 {
			t.Errorf("denied with %+v", got[i])
		}
	}
	if taken != quota {
		t.Fatalf("%d of %d calls got a token, want %d", taken, takers, quota)
	}
	if state := take(t, here, another)[0]; state.Remaining != 1000-takers-1 {
		t.Errorf("the other bucket has %d tokens left", state.Remaining)
	}
}

func independence(t *testing.T, here, there ports.Buckets, _ func(time.Duration)) {
	small, large := bucket(1, time.Hour), bucket(10, time.Hour)
	if states := take(t, here, small, large); !states[0].Allowed || !states[1].Allowed || states[0].Remaining != 0 || states[1].Remaining != 9 {
		t.Fatalf("got %+v", states)
	}
	if states := take(t, there, large, small); !states[0].Allowed || states[1].Allowed || states[0].Remaining != 8 {
		t.Fatalf("in the other order: %+v", states)
	}
	other := bucket(1, time.Hour)
	if state := take(t, here, other)[0]; !state.Allowed {
		t.Error("the bucket of another subject is empty, too")
	}
}

func refill(t *testing.T, here, there ports.Buckets, wait func(time.Duration)) {
	var one domain.Bucket
	state := domain.BucketState{Allowed: true}
	for window := 2 * time.Second; state.Allowed; window *= 2 { // on a slow machine, five calls need a bucket that refills slowly
		one = bucket(4, window)
		for range 4 {
			take(t, here, one)
		}
		state = take(t, there, one)[0]
	}
	wait(state.NextTokenIn)
	if state = take(t, here, one)[0]; !state.Allowed {
		t.Fatalf("after NextTokenIn: %+v", state)
	}
	wait(one.Limit.Window)
	if state = take(t, here, one)[0]; !state.Allowed || state.Remaining != 3 {
		t.Errorf("after the window: %+v, want a full bucket less this token", state)
	}
}

func deniedTakesNothing(t *testing.T, here, _ ports.Buckets, wait func(time.Duration)) {
	var one domain.Bucket
	state := domain.BucketState{Allowed: true}
	for window := 2 * time.Second; state.Allowed; window *= 2 { // on a slow machine, the calls need a bucket that refills slowly
		one = bucket(1, window)
		take(t, here, one)
		for range 20 { // a call that took a token would delay the next one
			state = take(t, here, one)[0]
		}
	}
	if state.NextTokenIn > one.Limit.Window+tolerance {
		t.Errorf("the next token comes in %s", state.NextTokenIn)
	}
	wait(state.NextTokenIn)
	if state := take(t, here, one)[0]; !state.Allowed {
		t.Errorf("after NextTokenIn: %+v", state)
	}
}

func deleteExpired(t *testing.T, here, there ports.Buckets, wait func(time.Duration)) {
	short, long := bucket(2, time.Second), bucket(2, time.Hour)
	take(t, here, short, long)
	wait(3 * time.Second)
	for _, b := range []ports.Buckets{here, there} {
		if err := b.DeleteExpired(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if states := take(t, there, short, long); states[0].Remaining != 1 || states[1].Remaining != 0 {
		t.Errorf("after DeleteExpired: %+v", states)
	}
}

func canceledContext(t *testing.T, here, _ ports.Buckets, _ func(time.Duration)) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	one := bucket(2, time.Hour)
	if _, err := here.Take(ctx, one); err != nil {
		if state := take(t, here, one)[0]; !state.Allowed {
			t.Errorf("a failed call emptied the bucket: %+v", state)
		}
	}
}
