package application_test

import (
	"context"
	"errors"
	"reflect"
	"testing"

	"github.com/keylodge/keylodge/ports"
)

// repeating is a store that has to begin every unit of work again once it is through, as databases do whose transactions
// were in each other's way.
type repeating struct{ ports.Store }

var errAgain = errors.New("not serializable")

func (r repeating) Update(ctx context.Context, fn func(ports.Tx) error) error {
	err := r.Store.Update(ctx, func(tx ports.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return errAgain
	})
	if err != errAgain {
		return err
	}
	return r.Store.Update(ctx, fn)
}

func (r repeating) View(ctx context.Context, fn func(ports.Tx) error) error {
	err := r.Store.View(ctx, func(tx ports.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return errAgain
	})
	if err != errAgain {
		return err
	}
	return r.Store.View(ctx, fn)
}

func (k kept) sizes() (list []int) {
	for _, field := range reflect.ValueOf(k).Fields() {
		list = append(list, field.Len())
	}
	return list
}

// What a unit of work left in memory by a first run that came to nothing changes nothing in the second.
func TestWhatIsBegunAgainIsDoneOnce(t *testing.T) {
	for name, prepare := range everyDeed() {
		t.Run(name, func(t *testing.T) {
			var want kept
			for _, again := range []bool{false, true} {
				h := newHouse(t)
				does := prepare(h)
				sound := h.store
				if again {
					h.store = repeating{h.store}
				}
				err := does()
				if h.store = sound; err != nil {
					t.Fatalf("again %t: %v", again, err)
				}
				if !again {
					want = h.keeps()
				} else if got := h.keeps(); !reflect.DeepEqual(got.sizes(), want.sizes()) {
					t.Errorf("left %+v, want %+v", got, want)
				}
			}
		})
	}
}
