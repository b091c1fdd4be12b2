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
				f := newFixture(t)
				execute := prepare(f)
				sound := f.store
				if again {
					f.store = sqlitestore.Retrying{Store: f.store}
				}
				err := execute()
				if f.store = sound; err != nil {
					t.Fatalf("again %t: %v", again, err)
				}
				if !again {
					want = f.dump()
				} else if got := f.dump(); !reflect.DeepEqual(got.sizes(), want.sizes()) {
					t.Errorf("left %+v, want %+v", got, want)
				}
			}
		})
	}
}
