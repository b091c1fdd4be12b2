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
// runs, then the Updates that waited when the transaction began run in it, one after the other, and then the leader commits. Transactions of
// one lane cannot conflict with each other, and share the cost of BEGIN and COMMIT. The invariants:
//   - A transaction sees what was committed before its first statement. So no Update may join it later: what its client has learnt from
//     another node, such as a challenge, could be missing.
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
	started  chan *attempt // the transaction is the follower's; closed: the group has ended without it, and it enters the lane again
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

// gather returns the Updates that wait.
func (l lane) gather() (group []*follower) {
	for len(group) < maxGroup-1 {
		select {
		case f := <-l.waiting:
			group = append(group, f)
		default:
			return group
		}
	}
	return group
}

// updateInGroup runs fn once in the transaction of a group. Its results are those of tryUpdate.
func (s *Store) updateInGroup(ctx context.Context, fn func(tx ports.Tx) error) (cause, err error) {
	for {
		f, err := s.lane.enter(ctx)
		if err != nil {
			return nil, err
		}
		if f == nil {
			break
		}
		if a, runs := <-f.started; runs {
			return f.run(ctx, a, fn)
		}
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
	waiting, ran := s.lane.gather(), 0 // before the first statement, which takes the snapshot
	defer func() {
		for _, f := range waiting[ran:] {
			close(f.started)
		}
	}()
	commit, result := a.run(ctx, fn)
	if !commit {
		return groupError(a.failure, 1), result
	}
	for err == nil && ran < len(waiting) {
		err = waiting[ran].runIn(a)
		ran++
	}
	if err == nil {
		err = a.commit(ctx)
	}
	if err != nil {
		s.resetOnFailover(err)
		err = groupError(err, 1+ran)
		result = err
	}
	for _, f := range waiting[:ran] {
		f.ended <- err
	}
	return err, result
}

// runIn lets the follower run in the transaction of the leader. It returns an error if the transaction must be rolled back.
func (f *follower) runIn(a *attempt) error {
	f.started <- a
	switch intact := <-f.finished; {
	case a.failure != nil:
		return a.failure
	case !intact:
		return errRepeat
	}
	return nil
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
func (f *follower) run(ctx context.Context, a *attempt, fn func(tx ports.Tx) error) (cause, err error) {
	result := f.execute(ctx, a, fn)
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
