package durability

import (
	"math/rand/v2"
	"sync"
	"testing"
)

// staff are those who keep a server busy.
type staff []*worker

const workers = 16

func newStaff(t *testing.T, s *server) staff {
	t.Helper()
	t.Logf("-seed=%d", chosenSeed())
	all := make(staff, workers)
	for i := range all {
		all[i] = &worker{t: t, number: i, caller: newCaller(s, ""), random: rand.New(rand.NewPCG(chosenSeed(), uint64(i)+1)), tally: newTally()}
	}
	return all
}

// begin has everybody do something at once.
func (s staff) begin(do func(*worker)) *sync.WaitGroup {
	var working sync.WaitGroup
	for _, w := range s {
		working.Go(func() { do(w) })
	}
	return &working
}

// all is begin, to its end.
func (s staff) all(do func(*worker)) { s.begin(do).Wait() }

func (s staff) sum() (sum tally, people int) {
	sum = newTally()
	for _, w := range s {
		sum.add(w.tally)
		people += len(w.people) + len(w.former)
	}
	return sum, people
}

// beginUntil has everybody work until then.
func (s staff) beginUntil(over func() bool) *sync.WaitGroup {
	return s.begin(func(w *worker) {
		for w.cut = false; !w.cut && !over(); {
			w.doesSomething()
		}
	})
}
