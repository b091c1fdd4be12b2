// Package buckets stores token buckets in memory.
package buckets

import (
	"container/heap"
	"context"
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Max is the maximum number of buckets, about 25 MB.
const Max = 100_000

// Buckets are the buckets of one node. A full bucket is deleted, since it equals a new one. At the maximum, the bucket closest to
// full is evicted: to evict one empty bucket, an attacker must empty all others further, which takes more requests than the limit
// denied.
type Buckets struct {
	clock ports.Clock
	max   int

	mu        sync.Mutex
	bySubject map[domain.RateSubject]*bucket
	heap      fullTimeHeap
}

var _ ports.Buckets = (*Buckets)(nil)

type bucket struct {
	subject domain.RateSubject
	tokens  *rate.Limiter
	fullAt  time.Time
	index   int // in the heap
}

// New returns an empty store of at most maxBuckets buckets.
func New(clock ports.Clock, maxBuckets int) *Buckets {
	return &Buckets{clock: clock, max: maxBuckets, bySubject: make(map[domain.RateSubject]*bucket)}
}

// Take implements ports.Buckets. It does not fail.
func (b *Buckets) Take(_ context.Context, from ...domain.Bucket) ([]domain.BucketState, error) {
	now := b.clock.Now()
	states := make([]domain.BucketState, len(from))
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, asked := range from {
		states[i] = b.take(asked, now)
	}
	return states, nil
}

func (b *Buckets) take(asked domain.Bucket, now time.Time) domain.BucketState {
	found, known := b.bySubject[asked.Subject]
	if !known {
		perSecond := rate.Limit(float64(asked.Limit.Quota) / asked.Limit.Window.Seconds())
		found = &bucket{subject: asked.Subject, tokens: rate.NewLimiter(perSecond, asked.Limit.Quota)}
	}
	taken := found.tokens.AllowN(now, 1)
	state := stateOf(found.tokens, taken, now)
	missing := float64(asked.Limit.Quota) - found.tokens.TokensAt(now)
	found.fullAt = now.Add(refillTime(missing, found.tokens.Limit()))
	if known {
		heap.Fix(&b.heap, found.index)
		return state
	}
	b.evictFull(now)
	if len(b.heap) >= b.max {
		b.evictFirst()
	}
	b.bySubject[asked.Subject] = found
	heap.Push(&b.heap, found)
	return state
}

func stateOf(tokens *rate.Limiter, taken bool, now time.Time) domain.BucketState {
	available := max(tokens.TokensAt(now), 0)
	whole := math.Floor(available + epsilon)
	state := domain.BucketState{Allowed: taken, Remaining: int(whole)}
	if !taken {
		whole, state.Remaining = 0, 0
	}
	if int(whole) < tokens.Burst() {
		state.NextTokenIn = refillTime(whole+1+epsilon-available, tokens.Limit())
	}
	return state
}

// epsilon bounds the rounding error, in tokens.
const epsilon = 1e-9

// refillTime returns the time in which so many tokens come.
func refillTime(tokens float64, perSecond rate.Limit) time.Duration {
	return time.Duration(math.Ceil(tokens / float64(perSecond) * float64(time.Second)))
}

// DeleteExpired implements ports.Buckets.
func (b *Buckets) DeleteExpired(context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.evictFull(b.clock.Now())
	return nil
}

// Len returns the number of stored buckets. Full ones are deleted with the next new bucket or by DeleteExpired.
func (b *Buckets) Len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.bySubject)
}

func (b *Buckets) evictFull(now time.Time) {
	for len(b.heap) > 0 && !now.Before(b.heap[0].fullAt) {
		b.evictFirst()
	}
}

func (b *Buckets) evictFirst() { delete(b.bySubject, heap.Pop(&b.heap).(*bucket).subject) }

// fullTimeHeap is a heap of buckets by the time at which they are full, earliest first.
type fullTimeHeap []*bucket

func (f fullTimeHeap) Len() int           { return len(f) }
func (f fullTimeHeap) Less(i, j int) bool { return f[i].fullAt.Before(f[j].fullAt) }
func (f fullTimeHeap) Swap(i, j int) {
	f[i], f[j] = f[j], f[i]
	f[i].index, f[j].index = i, j
}

func (f *fullTimeHeap) Push(x any) {
	pushed := x.(*bucket)
	pushed.index = len(*f)
	*f = append(*f, pushed)
}

func (f *fullTimeHeap) Pop() any {
	last := len(*f) - 1
	popped := (*f)[last]
	(*f)[last] = nil
	*f = (*f)[:last]
	return popped
}
