package application_test

import (
	"context"
	"errors"
	"reflect"
	"testing"

	"github.com/keylodge/keylodge/ports"
)

// retryingStore is a store that has to begin every unit of work again once it is through, as databases do whose transactions
// were in each other's way.
type retryingStore struct{ ports.Store }

var errSerialization = errors.New("not serializable")

func (r retryingStore) Update(ctx context.Context, fn func(ports.Tx) error) error {
	err := r.Store.Update(ctx, func(tx ports.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return errSerialization
	})
	if err != errSerialization {
		return err
	}
	return r.Store.Update(ctx, fn)
}

func (r retryingStore) View(ctx context.Context, fn func(ports.Tx) error) error {
	err := r.Store.View(ctx, func(tx ports.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return errSerialization
	})
	if err != errSerialization {
		return err
	}
	return r.Store.View(ctx, fn)
}

func (k storeDump) sizes() (list []int) {
	for _, field := range reflect.ValueOf(k).Fields() {
		list = append(list, field.Len())
	}
	return list
}

// What a unit of work left in memory by a first run that came to nothing changes nothing in the second.
func TestUseCases_RunOnceWhenTransactionsRetry(t *testing.T) {
	for name, prepare := range allUseCases() {
		t.Run(name, func(t *testing.T) {
			var want storeDump
			for _, again := range []bool{false, true} {
				h := newFixture(t)
				does := prepare(h)
				sound := h.store
				if again {
					h.store = retryingStore{h.store}
				}
				err := does()
				if h.store = sound; err != nil {
					t.Fatalf("again %t: %v", again, err)
				}
				if !again {
					want = h.dump()
				} else if got := h.dump(); !reflect.DeepEqual(got.sizes(), want.sizes()) {
					t.Errorf("left %+v, want %+v", got, want)
				}
			}
		})
	}
}
