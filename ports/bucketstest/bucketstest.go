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

// Shared are two ways to the same buckets, as two servers have them; where there are none to share, twice the same. Wait lets
// so much of their time pass.
type Shared struct {
	Here, There ports.Buckets
	Wait        func(time.Duration)
}

// Run holds buckets to their contract. open returns new ones.
func Run(t *testing.T, open func(t *testing.T) Shared) {
	for rule, test := range map[string]func(t *testing.T, here, there ports.Buckets, wait func(time.Duration)){
		"a bucket gives as many as it holds, and then none":        givesItsQuota,
		"of many who take at once as many get one as there are":    crowd,
		"buckets are taken from each by itself":                    each,
		"a bucket fills again at an even pace, to its brim":        fills,
		"a bucket that was swept is as it was":                     sweeping,
		"who was refused takes nothing":                            refused,
		"a call that is over before it begins takes its own error": over,
	} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel() // most of it is waiting
			shared := open(t)
			test(t, shared.Here, shared.There, shared.Wait)
		})
	}
}

// rounding is what arithmetic may add.
const rounding = time.Millisecond

func bucket(quota int, window time.Duration) domain.Bucket {
	b := domain.Bucket{Limit: domain.RateLimit{Quota: quota, Window: window}}
	rand.Read(b.Subject[:])
	return b
}

func take(t *testing.T, b ports.Buckets, from ...domain.Bucket) []domain.Level {
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

func givesItsQuota(t *testing.T, here, there ports.Buckets, _ func(time.Duration)) {
	one := bucket(5, time.Hour)
	for left := 4; left >= 0; left-- {
		asked := here
		if left%2 == 0 {
			asked = there
		}
		level := take(t, asked, one)[0]
		if !level.Taken || level.Remaining != left || level.Next <= 0 || level.Next > one.Limit.Interval()+rounding {
			t.Fatalf("with %d left it says %+v", left, level)
		}
	}
	for _, asked := range []ports.Buckets{here, there} {
		level := take(t, asked, one)[0]
		if level.Taken || level.Remaining != 0 || level.Next < 11*time.Minute || level.Next > one.Limit.Interval()+rounding {
			t.Errorf("an empty one says %+v", level)
		}
	}
}

func crowd(t *testing.T, here, there ports.Buckets, _ func(time.Duration)) {
	for range 10 { // whoever comes too early or too late by a hair is seldom enough
		meet(t, here, there)
	}
}

func meet(t *testing.T, here, there ports.Buckets) {
	t.Helper()
	const takers, quota = 64, 40
	one, another := bucket(quota, 24*time.Hour), bucket(1000, 24*time.Hour)
	got := make([]domain.Level, takers)
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
				if !levels[1].Taken {
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
		if got[i].Taken {
			taken++
		} else if got[i].Next <= 0 {
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

func each(t *testing.T, here, there ports.Buckets, _ func(time.Duration)) {
	small, large := bucket(1, time.Hour), bucket(10, time.Hour)
	if levels := take(t, here, small, large); !levels[0].Taken || !levels[1].Taken || levels[0].Remaining != 0 || levels[1].Remaining != 9 {
		t.Fatalf("got %+v", levels)
	}
	if levels := take(t, there, large, small); !levels[0].Taken || levels[1].Taken || levels[0].Remaining != 8 {
		t.Fatalf("in the other order: %+v", levels)
	}
	other := bucket(1, time.Hour)
	if level := take(t, here, other)[0]; !level.Taken {
		t.Error("somebody else's bucket is empty, too")
	}
}

func fills(t *testing.T, here, there ports.Buckets, wait func(time.Duration)) {
	var one domain.Bucket
	level := domain.Level{Taken: true}
	for window := 2 * time.Second; level.Taken; window *= 2 { // a slow machine's five calls need a bucket that fills slowly
		one = bucket(4, window)
		for range 4 {
			take(t, here, one)
		}
		level = take(t, there, one)[0]
	}
	wait(level.Next)
	if level = take(t, here, one)[0]; !level.Taken {
		t.Fatalf("after the wait that was told: %+v", level)
	}
	wait(one.Limit.Window)
	if level = take(t, here, one)[0]; !level.Taken || level.Remaining != 3 {
		t.Errorf("after its window: %+v, want a full one less this token", level)
	}
}

func refused(t *testing.T, here, _ ports.Buckets, wait func(time.Duration)) {
	var one domain.Bucket
	level := domain.Level{Taken: true}
	for window := 2 * time.Second; level.Taken; window *= 2 { // a slow machine's calls need a bucket that fills slowly
		one = bucket(1, window)
		take(t, here, one)
		for range 20 { // whose calls would have put the next token ever further off
			level = take(t, here, one)[0]
		}
	}
	if level.Next > one.Limit.Window+rounding {
		t.Errorf("the next token is %s away", level.Next)
	}
	wait(level.Next)
	if level := take(t, here, one)[0]; !level.Taken {
		t.Errorf("after the wait: %+v", level)
	}
}

func sweeping(t *testing.T, here, there ports.Buckets, wait func(time.Duration)) {
	short, long := bucket(2, time.Second), bucket(2, time.Hour)
	take(t, here, short, long)
	wait(3 * time.Second)
	for _, b := range []ports.Buckets{here, there} {
		if err := b.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if levels := take(t, there, short, long); levels[0].Remaining != 1 || levels[1].Remaining != 0 {
		t.Errorf("after the sweep: %+v", levels)
	}
}

func over(t *testing.T, here, _ ports.Buckets, _ func(time.Duration)) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	one := bucket(2, time.Hour)
	if _, err := here.Take(ctx, one); err != nil {
		if level := take(t, here, one)[0]; !level.Taken {
			t.Errorf("a call that failed took the bucket along: %+v", level)
		}
	}
}
