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

// Most is how many buckets there are at the same time: about 25 MB.
const Most = 100_000

// Buckets are those of one server. A bucket that is full again is forgotten. If there are as many as there may be, the one goes
// that would be full the soonest, since it tells the least: whoever wants an empty one of their own forgotten has to empty all
// the others further first, which takes more calls than were refused.
type Buckets struct {
	clock ports.Clock
	most  int

	mu     sync.Mutex
	by     map[domain.RateSubject]*bucket
	fullAt byFullness
}

var _ ports.Buckets = (*Buckets)(nil)

type bucket struct {
	subject domain.RateSubject
	tokens  *rate.Limiter
	full    time.Time
	index   int // in the heap
}

// New returns full buckets, of which it keeps so many.
func New(clock ports.Clock, most int) *Buckets {
	return &Buckets{clock: clock, most: most, by: make(map[domain.RateSubject]*bucket)}
}

// Take implements ports.Buckets. It does not fail.
func (b *Buckets) Take(_ context.Context, from ...domain.Bucket) ([]domain.Level, error) {
	now := b.clock.Now()
	levels := make([]domain.Level, len(from))
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, asked := range from {
		levels[i] = b.take(asked, now)
	}
	return levels, nil
}

func (b *Buckets) take(asked domain.Bucket, now time.Time) domain.Level {
	found, known := b.by[asked.Subject]
	if !known {
		pace := rate.Limit(float64(asked.Limit.Quota) / asked.Limit.Window.Seconds())
		found = &bucket{subject: asked.Subject, tokens: rate.NewLimiter(pace, asked.Limit.Quota)}
	}
	taken := found.tokens.AllowN(now, 1)
	level := levelOf(found.tokens, taken, now)
	missing := float64(asked.Limit.Quota) - found.tokens.TokensAt(now)
	found.full = now.Add(in(missing, found.tokens.Limit()))
	if known {
		heap.Fix(&b.fullAt, found.index)
		return level
	}
	b.forget(now)
	if len(b.fullAt) >= b.most {
		b.pop()
	}
	b.by[asked.Subject] = found
	heap.Push(&b.fullAt, found)
	return level
}

func levelOf(tokens *rate.Limiter, taken bool, now time.Time) domain.Level {
	there := max(tokens.TokensAt(now), 0)
	whole := math.Floor(there + rounding)
	level := domain.Level{Taken: taken, Remaining: int(whole)}
	if !taken {
		whole, level.Remaining = 0, 0
	}
	if int(whole) < tokens.Burst() {
		level.Next = in(whole+1+rounding-there, tokens.Limit())
	}
	return level
}

// rounding is what floating point may lack, of a token.
const rounding = 1e-9

// in is how long so many tokens take to come.
func in(tokens float64, pace rate.Limit) time.Duration {
	return time.Duration(math.Ceil(tokens / float64(pace) * float64(time.Second)))
}

// Sweep implements ports.Buckets.
func (b *Buckets) Sweep(context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forget(b.clock.Now())
	return nil
}

// Len is how many buckets there are that are not full, give or take those that have just become so.
func (b *Buckets) Len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.by)
}

func (b *Buckets) forget(now time.Time) {
	for len(b.fullAt) > 0 && !now.Before(b.fullAt[0].full) {
		b.pop()
	}
}

func (b *Buckets) pop() { delete(b.by, heap.Pop(&b.fullAt).(*bucket).subject) }

// byFullness is a heap of buckets, on top the one that will be full first.
type byFullness []*bucket

func (f byFullness) Len() int           { return len(f) }
func (f byFullness) Less(i, j int) bool { return f[i].full.Before(f[j].full) }
func (f byFullness) Swap(i, j int) {
	f[i], f[j] = f[j], f[i]
	f[i].index, f[j].index = i, j
}

func (f *byFullness) Push(x any) {
	pushed := x.(*bucket)
	pushed.index = len(*f)
	*f = append(*f, pushed)
}

func (f *byFullness) Pop() any {
	last := len(*f) - 1
	popped := (*f)[last]
	(*f)[last] = nil
	*f = (*f)[:last]
	return popped
}
