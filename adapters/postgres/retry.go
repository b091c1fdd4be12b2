package postgres

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// How often a unit of work is begun again, by what had happened to it. Of those who meet, one gets through each time, so
// conflicts are as many as there are others who want the same; the others are signs of trouble.
const (
	maxConflicts         = 50
	maxDeadlocks         = 5 // PostgreSQL waits for a second before it looks for one
	maxDuplicates        = 4
	maxLosses            = 2
	maxInvalidStatements = 4
)

// How many write at once, and after how many conflicts somebody does so alone. PostgreSQL notes what a transaction has read by
// the page of an index, which on small tables everybody shares: the more write at once, the more begin again, and with
// nobody who goes first some would never end. Other servers are still in the way of one who is alone here.
const (
	maxWriters     = 8
	exclusiveAfter = 3
)

// slots is how many of the writers' turns the next try takes.
func (t *retryState) slots() int64 {
	if t.conflicts+t.deadlocks < exclusiveAfter {
		return 1
	}
	return maxWriters
}

// retryState counts what a unit of work has met so far.
type retryState struct{ conflicts, deadlocks, duplicates, losses, invalidStatements int }

// shouldRetry counts the cause and says whether to begin again. A connection lost before the commit was sent is no reason for
// doubt: the server rolls back what was begun on it.
func (t *retryState) shouldRetry(ctx context.Context, cause error) bool {
	if ctx.Err() != nil {
		return false
	}
	switch {
	case stateOf(cause) == deadlockDetected:
		t.deadlocks++
		return t.deadlocks <= maxDeadlocks
	case isConflict(cause):
		t.conflicts++
		return t.conflicts <= maxConflicts
	case mayBeConflict(cause):
		t.duplicates++
		return t.duplicates <= maxDuplicates
	case errors.Is(cause, errLost):
		t.losses++
		return t.losses <= maxLosses
	case isInvalidStatement(cause):
		t.invalidStatements++
		return t.invalidStatements <= maxInvalidStatements
	}
	return false
}

// backOff waits for a moment that differs from that of whoever else begins again, longer each time.
func (t *retryState) backOff(ctx context.Context) error {
	longest := time.Millisecond << min(t.conflicts+t.deadlocks+t.duplicates+t.losses+t.invalidStatements, 5)
	timer := time.NewTimer(rand.N(longest)) //nolint:gosec // nothing hangs on whether somebody can guess it
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// resetOnFailover lets all connections go where one of them shows that the server has stopped, has become a replica or read-only,
// or that its prepared statements are not what they were: the others would only fail one by one. From then on those that
// replace them prepare nothing under a name if that is what went wrong.
func (s *Store) resetOnFailover(cause error) {
	if isStatementNameError(cause) {
		s.noNamedStatements.Store(true)
	}
	if errors.Is(cause, errLost) || errors.Is(cause, errReplica) || stateOf(cause) == readOnlySQLTransaction || errors.Is(cause, errReadOnly) || isInvalidStatement(cause) {
		s.pool.Reset()
	}
}
