package buckets_test

import (
	"encoding/binary"
	"sync"
	"testing"
	"time"

	"github.com/keylodge/keylodge/adapters/buckets"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports/bucketstest"
)

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func newClock() *clock { return &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func TestContract(t *testing.T) {
	bucketstest.Run(t, func(*testing.T) bucketstest.Pair {
		clock := newClock()
		b := buckets.New(clock, buckets.Max)
		return bucketstest.Pair{First: b, Second: b, Wait: clock.advance}
	})
}

func subject(n int) (s domain.RateSubject) {
	binary.BigEndian.PutUint64(s[:], uint64(n))
	return s
}

func take(t *testing.T, b *buckets.Buckets, n int, limit domain.RateLimit) domain.BucketState {
	t.Helper()
	states, err := b.Take(t.Context(), domain.Bucket{Subject: subject(n), Limit: limit})
	if err != nil {
		t.Fatal(err)
	}
	return states[0]
}

// Many more clients than the maximum, with one request each, do not exceed it, and do not evict an empty bucket.
func TestBuckets_CapsNumberOfBuckets(t *testing.T) {
	const maxBuckets = 1000
	b := buckets.New(newClock(), maxBuckets)
	limit := domain.RateLimit{Quota: 30, Window: time.Minute}
	const attacker = 0
	for range limit.Quota {
		take(t, b, attacker, limit)
	}
	if take(t, b, attacker, limit).Allowed {
		t.Fatal("the attacker's bucket is not empty")
	}
	for n := 1; n <= 100*maxBuckets; n++ {
		take(t, b, n, limit)
	}
	if b.Len() > maxBuckets {
		t.Errorf("%d buckets are stored, more than %d", b.Len(), maxBuckets)
	}
	if take(t, b, attacker, limit).Allowed {
		t.Error("a hundred times as many other clients evicted the attacker's empty bucket")
	}
}

// Of buckets with different limits, the one closest to full is evicted.
func TestBuckets_EvictsSoonestToRefill(t *testing.T) {
	b := buckets.New(newClock(), 2)
	short, long := domain.RateLimit{Quota: 2, Window: time.Second}, domain.RateLimit{Quota: 2, Window: time.Hour}
	take(t, b, 1, long)
	take(t, b, 2, short)
	take(t, b, 3, long) // evicts 2
	if got := take(t, b, 1, long); got.Remaining != 0 {
		t.Errorf("bucket 1: %+v", got)
	}
	if got := take(t, b, 3, long); got.Remaining != 0 {
		t.Errorf("bucket 3: %+v", got)
	}
}

// The time at which a bucket is full changes with every token that is taken.
func TestBuckets_KeepsEmptierBucket(t *testing.T) {
	b := buckets.New(newClock(), 2)
	limit := domain.RateLimit{Quota: 5, Window: time.Hour}
	for _, n := range []int{1, 2, 1, 1, 3} {
		take(t, b, n, limit)
	}
	if got := take(t, b, 1, limit); got.Remaining != 1 {
		t.Errorf("bucket 1: %+v", got)
	}
}

func TestBuckets_ForgetsFullBuckets(t *testing.T) {
	clock := newClock()
	b := buckets.New(clock, buckets.Max)
	limit := domain.RateLimit{Quota: 10, Window: time.Minute}
	for n := range 100 {
		take(t, b, n, limit)
	}
	clock.advance(time.Minute)
	take(t, b, 1000, limit)
	if b.Len() != 1 {
		t.Errorf("%d buckets, want 1: the full ones were not deleted", b.Len())
	}
}

func BenchmarkTake(b *testing.B) {
	stored := buckets.New(newClock(), buckets.Max)
	limit := domain.RateLimit{Quota: 300, Window: time.Minute}
	n := 0
	for b.Loop() {
		n++
		if _, err := stored.Take(b.Context(), domain.Bucket{Subject: subject(n), Limit: limit}); err != nil {
			b.Fatal(err)
		}
	}
}
