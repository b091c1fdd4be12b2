package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

var leases = rules{
	"a lease that was never acquired is free": func(t *testing.T, store ports.Store) {
		for _, lease := range []domain.Lease{"cleanup", "another"} {
			if !acquireLease(t, store, lease, hour(1), hour(2)) {
				t.Errorf("%q was not acquired", lease)
			}
		}
	},

	"an acquired lease is free again at its time, and not before": func(t *testing.T, store ports.Store) {
		acquireLease(t, store, "cleanup", hour(1), hour(3))
		for _, step := range []struct {
			now, next time.Time
			want      bool
		}{
			{hour(1), hour(9), false},
			{hour(3).Add(-time.Microsecond), hour(9), false}, // changes nothing
			{hour(3), hour(5), true},
			{hour(4), hour(9), false},
			{hour(7), hour(8), true},
		} {
			if got := acquireLease(t, store, "cleanup", step.now, step.next); got != step.want {
				t.Errorf("at %s: %t, want %t", step.now, got, step.want)
			}
		}
		if !acquireLease(t, store, "another", hour(1), hour(2)) {
			t.Error("the lease of another job was not acquired")
		}
	},

	"of concurrent callers, one acquires the lease": func(t *testing.T, store ports.Store) {
		errNotDue := errors.New("not due")
		for _, now := range []time.Time{hour(1), hour(2)} { // the first time, and after it has expired
			wantOneWinner(t, concurrently(concurrentCallers, func(int) error {
				return store.Update(t.Context(), func(tx ports.Tx) error {
					acquired, err := tx.Leases.Acquire(t.Context(), "cleanup", now, now.Add(time.Hour))
					if err == nil && !acquired {
						return errNotDue
					}
					return err
				})
			}), errNotDue)
		}
	},
}

func acquireLease(t *testing.T, store ports.Store, lease domain.Lease, now, next time.Time) (acquired bool) {
	t.Helper()
	update(t, store, func(ctx context.Context, tx ports.Tx) (err error) {
		acquired, err = tx.Leases.Acquire(ctx, lease, now, next)
		return err
	})
	return acquired
}
