// Package housekeeping keeps the store from growing with what is over.
package housekeeping

import (
	"context"
	"time"

	"github.com/keylodge/keylodge/ports"
)

// What is over is kept for a while, so that a latecomer hears that it has expired rather than that it never was; events for
// as long as somebody may want to look back.
const (
	challengeRetention = 5 * time.Minute
	sessionRetention   = 24 * time.Hour
	lockoutRetention   = 400 * 24 * time.Hour // of silence; names that nobody has would gather for ever
	eventRetention     = 400 * 24 * time.Hour // a year and a month, so that last year's can still be read
)

// A batch is one unit of work. Its size follows the time that the batch before it held the writer: a sign-in that comes meanwhile waits
// for about that long. A slow commit alone makes no batch smaller than firstBatch, since smaller ones would only add commits.
const (
	firstBatch = 16
	maxBatch   = 128
	batchTime  = 3 * time.Millisecond
)

// sliceTime is how long one Execute goes on. It is shorter than the lease of the job, so that one node at a time deletes.
const sliceTime = 40 * time.Second

// Sweep removes challenges, sessions, grants and messages that are over, and counts and events of long ago.
type Sweep struct {
	Store ports.Store
	Clock ports.Clock
	Pause ports.Pause // nil: no pauses
}

// Swept says how many were removed, and whether more are due.
type Swept struct {
	Challenges, Sessions, Grants, Lockouts, Messages, Events int
	Unfinished                                               bool
}

// Execute removes what is due, one small unit of work after another, for sliceTime at most. What was removed before an error
// stays removed and is counted.
func (s *Sweep) Execute(ctx context.Context) (Swept, error) {
	now := s.Clock.Now()
	var swept Swept
	for _, one := range []struct {
		total *int
		sweep func(tx ports.Tx, upTo int) (int, error)
	}{
		{&swept.Challenges, func(tx ports.Tx, n int) (int, error) {
			return tx.Challenges.Sweep(ctx, now.Add(-challengeRetention), n)
		}},
		{&swept.Sessions, func(tx ports.Tx, n int) (int, error) { return tx.Sessions.Sweep(ctx, now.Add(-sessionRetention), n) }},
		{&swept.Grants, func(tx ports.Tx, n int) (int, error) { return tx.Grants.Sweep(ctx, now, n) }},
		{&swept.Lockouts, func(tx ports.Tx, n int) (int, error) { return tx.Lockouts.Sweep(ctx, now.Add(-lockoutRetention), n) }},
		{&swept.Messages, func(tx ports.Tx, n int) (int, error) { return tx.Messages.Sweep(ctx, now, n) }},
		{&swept.Events, func(tx ports.Tx, n int) (int, error) { return tx.Events.Sweep(ctx, now.Add(-eventRetention), n) }},
	} {
		finished, err := s.inBatches(ctx, now.Add(sliceTime), one.total, one.sweep)
		if err != nil {
			return swept, err
		}
		swept.Unfinished = swept.Unfinished || !finished
	}
	return swept, nil
}

// inBatches returns false if the time was up first. Each kind gets one batch at least, so that none waits for another one that
// always has more.
func (s *Sweep) inBatches(ctx context.Context, until time.Time, total *int, sweep func(ports.Tx, int) (int, error)) (finished bool, err error) {
	for size := firstBatch; ; {
		var n int
		var began time.Time
		var work time.Duration
		err := s.Store.Update(ctx, func(tx ports.Tx) (err error) {
			began = s.Clock.Now()
			n, err = sweep(tx, size)
			work = s.Clock.Now().Sub(began)
			return err
		})
		if err != nil {
			return false, err
		}
		held := s.Clock.Now().Sub(began)
		*total += n
		if n < size {
			return true, nil
		}
		// The sweep holds the writer for half of the time at most, and the units of work that waited for this batch do not meet the next.
		if s.Pause != nil {
			if err := s.Pause(ctx, held); err != nil {
				return false, err
			}
		}
		if !s.Clock.Now().Before(until) {
			return false, nil
		}
		size = nextBatch(size, work, held)
	}
}

// nextBatch doubles the size while batches hold the writer for less than half of batchTime, and halves it when they do so for longer.
func nextBatch(size int, work, held time.Duration) int {
	switch {
	case work > batchTime:
		return max(size/2, 1)
	case held > batchTime:
		return max(size/2, min(size, firstBatch))
	case held < batchTime/2:
		return min(size*2, maxBatch)
	}
	return size
}
