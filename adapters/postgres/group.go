package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// maxGroup limits how many Updates share a transaction, and so how long the first of them waits for its COMMIT.
const maxGroup = 64

// errRepeat tells an Update that the transaction that it shared was rolled back, and that fn runs again in one of its own.
var errRepeat = fmt.Errorf("the transaction is repeated: %w", domain.ErrUnavailable)

// lane runs Updates in groups, one group at a time. An Update that finds the lane free leads a group: it begins a transaction and
// runs, then the Updates that wait run in the same transaction, one after the other, and then the leader commits. Transactions of
// one lane cannot conflict with each other, and share the cost of BEGIN and COMMIT. The invariants:
//   - fn of an Update runs on the goroutine of its caller. The transaction belongs to that goroutine between started and finished, and
//     to the leader's at all other times.
//   - A follower gets its result after the end of the transaction, also if fn returned an error: fn may have read what others in the
//     group have written.
//   - If fn of a follower fails after a write, panics, or exits its goroutine, or if a statement fails, the transaction is rolled back,
//     and all of the group run again, each in a transaction of its own. After a conflict with a transaction outside of the lane they
//     may form a group again.
type lane struct {
	busy    chan struct{}  // capacity 1
	waiting chan *follower // unbuffered, so that a caller can leave while it waits
}

// follower is an Update in the transaction of another one. Each channel carries one message, in this order.
type follower struct {
	started  chan *attempt // the transaction is the follower's
	finished chan bool     // the transaction is the leader's again; false: it must be rolled back
	ended    chan error    // capacity 1: the result of the transaction
}

func newLane() lane { return lane{make(chan struct{}, 1), make(chan *follower)} }

// enter returns nil if the caller leads a group until it calls leave, or a follower that the leader of the running group has accepted.
func (l lane) enter(ctx context.Context) (*follower, error) {
	select {
	case l.busy <- struct{}{}:
		return nil, nil
	default: // ctx.Done may start a timer
	}
	f := &follower{make(chan *attempt), make(chan bool), make(chan error, 1)}
	select {
	case l.busy <- struct{}{}:
		return nil, nil
	case l.waiting <- f:
		return f, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l lane) leave() { <-l.busy }

// next returns an Update that waits, or nil.
func (l lane) next() *follower {
	select {
	case f := <-l.waiting:
		return f
	default:
		return nil
	}
}

// updateInGroup runs fn once in the transaction of a group. Its results are those of tryUpdate.
func (s *Store) updateInGroup(ctx context.Context, fn func(tx ports.Tx) error) (cause, err error) {
	f, err := s.lane.enter(ctx)
	if err != nil {
		return nil, err
	}
	if f != nil {
		return f.run(ctx, fn)
	}
	defer s.lane.leave()
	if err := s.writers.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	defer s.writers.Release(1)
	return s.lead(ctx, fn)
}

// lead runs fn, and then the Updates that wait, in one transaction.
func (s *Store) lead(ctx context.Context, fn func(tx ports.Tx) error) (cause, err error) {
	a, err := s.beginWriting(ctx, beginGroup)
	if err != nil {
		return err, err
	}
	defer a.end(ctx)
	commit, result := a.run(ctx, fn)
	if !commit {
		return groupError(a.failure, 1), result
	}
	followers, err := s.runFollowers(a)
	if err == nil {
		err = a.commit(ctx)
	}
	if err != nil {
		s.resetOnFailover(err)
		err = groupError(err, 1+len(followers))
		result = err
	}
	for _, f := range followers {
		f.ended <- err
	}
	return err, result
}

// runFollowers runs the Updates that wait. It returns those that ran, and an error if the transaction must be rolled back.
func (s *Store) runFollowers(a *attempt) (followers []*follower, err error) {
	for f := s.lane.next(); f != nil; f = s.lane.next() {
		followers = append(followers, f)
		f.started <- a
		switch intact := <-f.finished; {
		case a.failure != nil:
			return followers, a.failure
		case !intact:
			return followers, errRepeat
		case len(followers) == maxGroup-1:
			return followers, nil
		}
	}
	return followers, nil
}

// groupError returns the error of each Update in a group of this size whose transaction ended with err. Unless another attempt of the
// group may succeed, or the result is unknown, only the Update that caused err may fail, so each runs again alone. A timeout of a lock
// is never the error of an Update, because alone it waits longer.
func groupError(err error, size int) error {
	switch {
	case err == nil, isConflict(err), errors.Is(err, errUnknownResult):
		return err
	case size == 1 && stateOf(err) != lockNotAvailable:
		return err
	}
	return errRepeat
}

// run runs fn in the transaction of the leader. Its results are those of tryUpdate.
func (f *follower) run(ctx context.Context, fn func(tx ports.Tx) error) (cause, err error) {
	result := f.execute(ctx, <-f.started, fn)
	if err := <-f.ended; err != nil {
		return err, err
	}
	return nil, result
}

// execute returns the transaction to the leader in every case, also if fn panics or exits its goroutine.
func (f *follower) execute(ctx context.Context, a *attempt, fn func(tx ports.Tx) error) (result error) {
	intact := false
	defer func() { f.finished <- intact }()
	commit, result := a.run(ctx, fn)
	intact = a.failure == nil && (commit || !a.wrote && !a.queue.hasOwn())
	return result
}
