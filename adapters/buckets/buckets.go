// Package buckets keeps buckets of tokens in this server's memory.
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

// Max is how many buckets there are at the same time: about 25 MB.
const Max = 100_000

// Buckets are those of one server. A bucket that is full again is forgotten. If there are as many as there may be, the one goes
// that would be full the soonest, since it tells the least: whoever wants an empty one of their own forgotten has to empty all
// the others further first, which takes more calls than were refused.
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

// New returns full buckets, of which it keeps so many.
func New(clock ports.Clock, most int) *Buckets {
	return &Buckets{clock: clock, max: most, bySubject: make(map[domain.RateSubject]*bucket)}
}

// Take implements ports.Buckets. It does not fail.
func (b *Buckets) Take(_ context.Context, from ...domain.Bucket) ([]domain.BucketState, error) {
	now := b.clock.Now()
	levels := make([]domain.BucketState, len(from))
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, asked := range from {
		levels[i] = b.take(asked, now)
	}
	return levels, nil
}

func (b *Buckets) take(asked domain.Bucket, now time.Time) domain.BucketState {
	found, known := b.bySubject[asked.Subject]
	if !known {
		pace := rate.Limit(float64(asked.Limit.Quota) / asked.Limit.Window.Seconds())
		found = &bucket{subject: asked.Subject, tokens: rate.NewLimiter(pace, asked.Limit.Quota)}
	}
	taken := found.tokens.AllowN(now, 1)
	level := stateOf(found.tokens, taken, now)
	missing := float64(asked.Limit.Quota) - found.tokens.TokensAt(now)
	found.fullAt = now.Add(refillTime(missing, found.tokens.Limit()))
	if known {
		heap.Fix(&b.heap, found.index)
		return level
	}
	b.evictFull(now)
	if len(b.heap) >= b.max {
		b.evictFirst()
	}
	b.bySubject[asked.Subject] = found
	heap.Push(&b.heap, found)
	return level
}

func stateOf(tokens *rate.Limiter, taken bool, now time.Time) domain.BucketState {
	there := max(tokens.TokensAt(now), 0)
	whole := math.Floor(there + epsilon)
	level := domain.BucketState{Allowed: taken, Remaining: int(whole)}
	if !taken {
		whole, level.Remaining = 0, 0
	}
	if int(whole) < tokens.Burst() {
		level.NextTokenIn = refillTime(whole+1+epsilon-there, tokens.Limit())
	}
	return level
}

// epsilon is what floating point may lack, of a token.
const epsilon = 1e-9

// refillTime is how long so many tokens take to come.
func refillTime(tokens float64, pace rate.Limit) time.Duration {
	return time.Duration(math.Ceil(tokens / float64(pace) * float64(time.Second)))
}

// DeleteExpired implements ports.Buckets.
func (b *Buckets) DeleteExpired(context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.evictFull(b.clock.Now())
	return nil
}

// Len is how many buckets there are that are not full, give or take those that have just become so.
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

// fullTimeHeap is a heap of buckets, on top the one that will be full first.
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
