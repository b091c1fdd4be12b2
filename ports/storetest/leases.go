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
	"a duty that nobody has taken is due": func(t *testing.T, store ports.Store) {
		for _, duty := range []domain.Lease{"sweep", "another"} {
			if !acquireLease(t, store, duty, hour(1), hour(2)) {
				t.Errorf("nobody may take %q", duty)
			}
		}
	},

	"one that is taken is due again at its time, and not before": func(t *testing.T, store ports.Store) {
		acquireLease(t, store, "sweep", hour(1), hour(3))
		for _, step := range []struct {
			now, next time.Time
			want      bool
		}{
			{hour(1), hour(9), false},
			{hour(3).Add(-time.Microsecond), hour(9), false}, // and puts nothing off
			{hour(3), hour(5), true},
			{hour(4), hour(9), false},
			{hour(7), hour(8), true},
		} {
			if got := acquireLease(t, store, "sweep", step.now, step.next); got != step.want {
				t.Errorf("at %s: %t, want %t", step.now, got, step.want)
			}
		}
		if !acquireLease(t, store, "another", hour(1), hour(2)) {
			t.Error("one duty puts another off")
		}
	},

	"of many at once one takes it": func(t *testing.T, store ports.Store) {
		errNotDue := errors.New("not due")
		for _, now := range []time.Time{hour(1), hour(2)} { // at first, and again
			wantOneWinner(t, concurrently(concurrentCallers, func(int) error {
				return store.Update(t.Context(), func(tx ports.Tx) error {
					taken, err := tx.Leases.Acquire(t.Context(), "sweep", now, now.Add(time.Hour))
					if err == nil && !taken {
						return errNotDue
					}
					return err
				})
			}), errNotDue)
		}
	},
}

func acquireLease(t *testing.T, store ports.Store, duty domain.Lease, now, next time.Time) (taken bool) {
	t.Helper()
	update(t, store, func(ctx context.Context, tx ports.Tx) (err error) {
		taken, err = tx.Leases.Acquire(ctx, duty, now, next)
		return err
	})
	return taken
}
