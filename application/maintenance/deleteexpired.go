// Package maintenance keeps the store from growing with what is over.
package maintenance

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
// for about that long. A slow commit alone makes no batch smaller than initialBatchSize, since smaller ones would only add commits.
const (
	initialBatchSize = 16
	maxBatchSize     = 32
	targetBatchTime  = 1500 * time.Microsecond
)

// maxRunTime is how long one Execute goes on. It is shorter than the lease of the job, so that one node at a time deletes.
const maxRunTime = 40 * time.Second

// DeleteExpired removes challenges, sessions, grants and messages that are over, and counts and events of long ago.
type DeleteExpired struct {
	Store ports.Store
	Clock ports.Clock
	Pause ports.Pause // nil: no pauses
}

// Deleted says how many were removed, and whether more are due.
type Deleted struct {
	Challenges, Sessions, RecoveryGrants, Lockouts, OutboxEmails, Events int
	Unfinished                                                           bool
}

// Execute removes what is due, one small unit of work after another, for maxRunTime at most. What was removed before an error
// stays removed and is counted.
func (s *DeleteExpired) Execute(ctx context.Context) (Deleted, error) {
	now := s.Clock.Now()
	var swept Deleted
	for _, one := range []struct {
		total *int
		sweep func(tx ports.Tx, upTo int) (int, error)
	}{
		{&swept.Challenges, func(tx ports.Tx, n int) (int, error) {
			return tx.Challenges.DeleteExpired(ctx, now.Add(-challengeRetention), n)
		}},
		{&swept.Sessions, func(tx ports.Tx, n int) (int, error) {
			return tx.Sessions.DeleteExpired(ctx, now.Add(-sessionRetention), n)
		}},
		{&swept.RecoveryGrants, func(tx ports.Tx, n int) (int, error) { return tx.RecoveryGrants.DeleteExpired(ctx, now, n) }},
		{&swept.Lockouts, func(tx ports.Tx, n int) (int, error) {
			return tx.Lockouts.DeleteExpired(ctx, now.Add(-lockoutRetention), n)
		}},
		{&swept.OutboxEmails, func(tx ports.Tx, n int) (int, error) { return tx.OutboxEmails.DeleteExpired(ctx, now, n) }},
		{&swept.Events, func(tx ports.Tx, n int) (int, error) {
			return tx.Events.DeleteExpired(ctx, now.Add(-eventRetention), n)
		}},
	} {
		finished, err := s.inBatches(ctx, now.Add(maxRunTime), one.total, one.sweep)
		if err != nil {
			return swept, err
		}
		swept.Unfinished = swept.Unfinished || !finished
	}
	return swept, nil
}

// inBatches returns false if the time was up first. Each kind gets one batch at least, so that none waits for another one that
// always has more.
func (s *DeleteExpired) inBatches(ctx context.Context, until time.Time, total *int, sweep func(ports.Tx, int) (int, error)) (finished bool, err error) {
	for size := initialBatchSize; ; {
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
		size = nextBatchSize(size, work, held)
	}
}

// nextBatchSize doubles the size while batches hold the writer for less than half of targetBatchTime, and halves it when they do so for longer.
func nextBatchSize(size int, work, held time.Duration) int {
	switch {
	case work > targetBatchTime:
		return max(size/2, 1)
	case held > targetBatchTime:
		return max(size/2, min(size, initialBatchSize))
	case held < targetBatchTime/2:
		return min(size*2, maxBatchSize)
	}
	return size
}
