// Package bucketstest is the contract of ports.Buckets as tests. Whoever writes an adapter runs them against it.
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

// Pair are two ways to the same buckets, as two servers have them; where there are none to share, twice the same. Wait lets
// so much of their time pass.
type Pair struct {
	First, Second ports.Buckets
	Wait          func(time.Duration)
}

// Run holds buckets to their contract. open returns new ones.
func Run(t *testing.T, open func(t *testing.T) Pair) {
	for rule, test := range map[string]func(t *testing.T, here, there ports.Buckets, wait func(time.Duration)){
		"a bucket gives as many as it holds, and then none":        quota,
		"of many who take at once as many get one as there are":    concurrentTakes,
		"buckets are taken from each by itself":                    independence,
		"a bucket fills again at an even pace, to its brim":        refill,
		"a bucket that was swept is as it was":                     deleteExpired,
		"who was refused takes nothing":                            refusedTakesNothing,
		"a call that is over before it begins takes its own error": cancelledContext,
	} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel() // most of it is waiting
			shared := open(t)
			test(t, shared.First, shared.Second, shared.Wait)
		})
	}
}

// tolerance is what arithmetic may add.
const tolerance = time.Millisecond

func bucket(quota int, window time.Duration) domain.Bucket {
	b := domain.Bucket{Limit: domain.RateLimit{Quota: quota, Window: window}}
	rand.Read(b.Subject[:])
	return b
}

func take(t *testing.T, b ports.Buckets, from ...domain.Bucket) []domain.BucketState {
	t.Helper()
	levels, err := b.Take(t.Context(), from...)
	if err != nil {
		t.Fatal(err)
	}
	if len(levels) != len(from) {
		t.Fatalf("%d levels of %d buckets", len(levels), len(from))
	}
	return levels
}

func quota(t *testing.T, here, there ports.Buckets, _ func(time.Duration)) {
	one := bucket(5, time.Hour)
	for left := 4; left >= 0; left-- {
		asked := here
		if left%2 == 0 {
			asked = there
		}
		level := take(t, asked, one)[0]
		if !level.Allowed || level.Remaining != left || level.NextTokenIn <= 0 || level.NextTokenIn > one.Limit.Interval()+tolerance {
			t.Fatalf("with %d left it says %+v", left, level)
		}
	}
	for _, asked := range []ports.Buckets{here, there} {
		level := take(t, asked, one)[0]
		if level.Allowed || level.Remaining != 0 || level.NextTokenIn < 11*time.Minute || level.NextTokenIn > one.Limit.Interval()+tolerance {
			t.Errorf("an empty one says %+v", level)
		}
	}
}

func concurrentTakes(t *testing.T, here, there ports.Buckets, _ func(time.Duration)) {
	for range 10 { // whoever comes too early or too late by a hair is seldom enough
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
			asked := here
			if i%2 == 1 {
				asked = there
			}
			levels, err := asked.Take(context.Background(), one, another)
			if errs[i] = err; err == nil {
				got[i] = levels[0]
				if !levels[1].Allowed {
					errs[i] = fmt.Errorf("there was none in the other bucket: %+v", levels[1])
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
			t.Errorf("refused with %+v", got[i])
		}
	}
	if taken != quota {
		t.Fatalf("%d of %d got a token, want %d", taken, takers, quota)
	}
	if level := take(t, here, another)[0]; level.Remaining != 1000-takers-1 {
		t.Errorf("the other bucket has %d left", level.Remaining)
	}
}

func independence(t *testing.T, here, there ports.Buckets, _ func(time.Duration)) {
	small, large := bucket(1, time.Hour), bucket(10, time.Hour)
	if levels := take(t, here, small, large); !levels[0].Allowed || !levels[1].Allowed || levels[0].Remaining != 0 || levels[1].Remaining != 9 {
		t.Fatalf("got %+v", levels)
	}
	if levels := take(t, there, large, small); !levels[0].Allowed || levels[1].Allowed || levels[0].Remaining != 8 {
		t.Fatalf("in the other order: %+v", levels)
	}
	other := bucket(1, time.Hour)
	if level := take(t, here, other)[0]; !level.Allowed {
		t.Error("somebody else's bucket is empty, too")
	}
}

func refill(t *testing.T, here, there ports.Buckets, wait func(time.Duration)) {
	var one domain.Bucket
	level := domain.BucketState{Allowed: true}
	for window := 2 * time.Second; level.Allowed; window *= 2 { // a slow machine's five calls need a bucket that fills slowly
		one = bucket(4, window)
		for range 4 {
			take(t, here, one)
		}
		level = take(t, there, one)[0]
	}
	wait(level.NextTokenIn)
	if level = take(t, here, one)[0]; !level.Allowed {
		t.Fatalf("after the wait that was told: %+v", level)
	}
	wait(one.Limit.Window)
	if level = take(t, here, one)[0]; !level.Allowed || level.Remaining != 3 {
		t.Errorf("after its window: %+v, want a full one less this token", level)
	}
}

func refusedTakesNothing(t *testing.T, here, _ ports.Buckets, wait func(time.Duration)) {
	var one domain.Bucket
	level := domain.BucketState{Allowed: true}
	for window := 2 * time.Second; level.Allowed; window *= 2 { // a slow machine's calls need a bucket that fills slowly
		one = bucket(1, window)
		take(t, here, one)
		for range 20 { // whose calls would have put the next token ever further off
			level = take(t, here, one)[0]
		}
	}
	if level.NextTokenIn > one.Limit.Window+tolerance {
		t.Errorf("the next token is %s away", level.NextTokenIn)
	}
	wait(level.NextTokenIn)
	if level := take(t, here, one)[0]; !level.Allowed {
		t.Errorf("after the wait: %+v", level)
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
	if levels := take(t, there, short, long); levels[0].Remaining != 1 || levels[1].Remaining != 0 {
		t.Errorf("after the sweep: %+v", levels)
	}
}

func cancelledContext(t *testing.T, here, _ ports.Buckets, _ func(time.Duration)) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	one := bucket(2, time.Hour)
	if _, err := here.Take(ctx, one); err != nil {
		if level := take(t, here, one)[0]; !level.Allowed {
			t.Errorf("a call that failed took the bucket along: %+v", level)
		}
	}
}
