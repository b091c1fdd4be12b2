package application_test

import (
	"reflect"
	"testing"

	"github.com/keylodge/keylodge/acceptance/sqlitestore"
)

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
					h.store = sqlitestore.Retrying{Store: h.store}
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
