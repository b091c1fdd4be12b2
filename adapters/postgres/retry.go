package postgres

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// How often a View or Update is retried, by the kind of its failure. Of several transactions that conflict, one commits each time,
// so the number of conflicts grows with the number of concurrent callers; the other failures do not.
const (
	maxConflicts         = 50
	maxDeadlocks         = 5 // PostgreSQL detects a deadlock after a second
	maxDuplicates        = 4
	maxLostConnections   = 2
	maxInvalidStatements = 4
)

// maxWriters limits how many transactions write at the same time, and exclusiveAfter is the number of conflicts after which an Update
// takes all write slots. PostgreSQL tracks what a serializable transaction reads by index page. On small tables all transactions share
// a page, so conflicts grow with the number of writers, and an Update could conflict for ever. Other nodes still conflict with it.
const (
	maxWriters     = 8
	exclusiveAfter = 3
)

// slots returns how many write slots the next try takes in a transaction of its own.
func (t *retryState) slots() int64 {
	if t.conflicts+t.deadlocks < exclusiveAfter {
		return 1
	}
	return maxWriters
}

// retryState counts the failures of one View or Update.
type retryState struct {
	alone                                                                bool // the next try shares its transaction with no other
	conflicts, deadlocks, duplicates, lostConnections, invalidStatements int
}

// shouldRetry counts the failure and returns whether to retry. A connection lost before COMMIT was sent is safe to retry, because
// the server rolls the transaction back.
func (t *retryState) shouldRetry(ctx context.Context, cause error) bool {
	if ctx.Err() != nil {
		return false
	}
	switch {
	case errors.Is(cause, errRepeat):
		t.alone = true
		return true
	case stateOf(cause) == deadlockDetected:
		t.alone = true
		t.deadlocks++
		return t.deadlocks <= maxDeadlocks
	case isConflict(cause):
		t.conflicts++
		t.alone = t.alone || t.conflicts >= exclusiveAfter
		return t.conflicts <= maxConflicts
	case mayBeConflict(cause):
		t.duplicates++
		return t.duplicates <= maxDuplicates
	case errors.Is(cause, errLost):
		t.lostConnections++
		return t.lostConnections <= maxLostConnections
	case isInvalidStatement(cause):
		t.invalidStatements++
		return t.invalidStatements <= maxInvalidStatements
	}
	return false
}

// backOff waits for a random time, so that conflicting transactions do not meet again. The longest wait doubles with each failure, up
// to 32 ms.
func (t *retryState) backOff(ctx context.Context) error {
	maxWait := time.Millisecond << min(t.conflicts+t.deadlocks+t.duplicates+t.lostConnections+t.invalidStatements, 5)
	timer := time.NewTimer(rand.N(maxWait)) //nolint:gosec // no security depends on it
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// resetOnFailover closes all connections of the pool if the cause shows that the server has stopped, has become a replica or
// read-only, or that prepared statements are invalid: each of the others would fail, too. After an error about a statement's name,
// new connections use no named statements.
func (s *Store) resetOnFailover(cause error) {
	if isStatementNameError(cause) {
		s.noNamedStatements.Store(true)
	}
	if errors.Is(cause, errLost) || errors.Is(cause, errReplica) || stateOf(cause) == readOnlySQLTransaction || errors.Is(cause, errReadOnly) || isInvalidStatement(cause) {
		s.pool.Reset()
	}
}
