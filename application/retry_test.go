package application_test

import (
	"reflect"
	"testing"

	"github.com/keylodge/keylodge/acceptance/testkit/sqlitestore"
)

func (d storeDump) sizes() (list []int) {
	for _, field := range reflect.ValueOf(d).Fields() {
		list = append(list, field.Len())
	}
	return list
}

// A transaction that is retried has the same effect as one that runs once: no state of the first run leaks into the second.
func TestUseCases_RunOnceWhenTransactionsRetry(t *testing.T) {
	for name, prepare := range allUseCases() {
		t.Run(name, func(t *testing.T) {
			var want storeDump
			for _, retry := range []bool{false, true} {
				f := newFixture(t)
				execute := prepare(f)
				working := f.store
				if retry {
					f.store = sqlitestore.Retrying{Store: f.store}
				}
				err := execute()
				if f.store = working; err != nil {
					t.Fatalf("retry %t: %v", retry, err)
				}
				if !retry {
					want = f.dump()
				} else if got := f.dump(); !reflect.DeepEqual(got.sizes(), want.sizes()) {
					t.Errorf("stored %+v, want %+v", got, want)
				}
			}
		})
	}
}
