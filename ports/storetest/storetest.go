// Package storetest is the contract of ports.Store as tests. Every adapter runs them:
//
//	func TestContract(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) ports.Store { return open(t) })
//	}
//
// Run them with the race detector, too: half of the contract is about concurrent callers.
package storetest

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/keylodge/keylodge/ports"
)

// Run tests a store against the contract. open returns an empty store. It may return the same one to each test, if it empties it when
// the test ends.
func Run(t *testing.T, open func(t *testing.T) ports.Store) {
	t.Run("UnitOfWork", func(t *testing.T) { runAll(t, open, unitOfWork) })
	t.Run("Serializable", func(t *testing.T) { runAll(t, open, serializable) })
	t.Run("Context", func(t *testing.T) { runAll(t, open, contexts) })
	t.Run("Users", func(t *testing.T) { runAll(t, open, users) })
	t.Run("PendingEmails", func(t *testing.T) { runAll(t, open, pendingEmails) })
	t.Run("Removal", func(t *testing.T) { runAll(t, open, removal) })
	t.Run("Credentials", func(t *testing.T) { runAll(t, open, credentials) })
	t.Run("Challenges", func(t *testing.T) { runAll(t, open, challenges) })
	t.Run("Sessions", func(t *testing.T) { runAll(t, open, sessions) })
	t.Run("Events", func(t *testing.T) { runAll(t, open, events) })
	t.Run("SigningKeys", func(t *testing.T) { runAll(t, open, signingKeys) })
	t.Run("APIKeys", func(t *testing.T) { runAll(t, open, apiKeys) })
	t.Run("Invites", func(t *testing.T) { runAll(t, open, invites) })
	t.Run("TOTPs", func(t *testing.T) { runAll(t, open, totps) })
	t.Run("BackupCodes", func(t *testing.T) { runAll(t, open, backupCodes) })
	t.Run("RecoveryGrants", func(t *testing.T) { runAll(t, open, recoveryGrants) })
	t.Run("AuthorizationCodes", func(t *testing.T) { runAll(t, open, authorizationCodes) })
	t.Run("Lockouts", func(t *testing.T) { runAll(t, open, lockouts) })
	t.Run("Leases", func(t *testing.T) { runAll(t, open, leases) })
	t.Run("OutboxEmails", func(t *testing.T) { runAll(t, open, outboxEmails) })
}

// rules are tests by the sentence that each checks.
type rules map[string]func(t *testing.T, store ports.Store)

func runAll(t *testing.T, open func(t *testing.T) ports.Store, all rules) {
	for rule, test := range all {
		t.Run(rule, func(t *testing.T) { test(t, open(t)) })
	}
}

// concurrentCallers is the number of callers in the rules about concurrency.
const concurrentCallers = 16

// concurrently starts n callers at the same moment and returns the error of each.
func concurrently(n int, call func(i int) error) []error {
	results := make([]error, n)
	start := make(chan struct{})
	var callers sync.WaitGroup
	for i := range n {
		callers.Go(func() {
			<-start
			results[i] = call(i)
		})
	}
	close(start)
	callers.Wait()
	return results
}

// wantOneWinner fails the test unless exactly one caller succeeded and all others got the given error. It returns the winner.
func wantOneWinner(t *testing.T, results []error, want error) int {
	t.Helper()
	won := -1
	for i, err := range results {
		switch {
		case err == nil && won >= 0:
			t.Fatalf("callers %d and %d both succeeded", won, i)
		case err == nil:
			won = i
		case !errors.Is(err, want):
			t.Errorf("caller %d got %v, want %v", i, err, want)
		}
	}
	if won < 0 {
		t.Fatal("no caller succeeded")
	}
	return won
}

// update runs fn in an Update and fails the test on an error.
func update(t *testing.T, store ports.Store, fn func(ctx context.Context, tx ports.Tx) error) {
	t.Helper()
	ctx := t.Context()
	if err := store.Update(ctx, func(tx ports.Tx) error { return fn(ctx, tx) }); err != nil {
		t.Fatalf("Update: %v", err)
	}
}

// get returns the result of read in a View.
func get[T any](t *testing.T, store ports.Store, read func(ctx context.Context, tx ports.Tx) (T, error)) (T, error) {
	t.Helper()
	ctx := t.Context()
	var result T
	err := store.View(ctx, func(tx ports.Tx) (err error) {
		result, err = read(ctx, tx)
		return err
	})
	return result, err
}

// wantError fails the test unless err is want.
func wantError(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got error %v, want %v", err, want)
	}
}
