package durability

import (
	"math/rand/v2"
	"sync"
	"testing"
)

// load are those who keep a server busy.
type load []*worker

const workers = 16

func newLoad(t *testing.T, s *server) load {
	t.Helper()
	t.Logf("-seed=%d", chosenSeed())
	all := make(load, workers)
	for i := range all {
		all[i] = &worker{t: t, number: i, caller: newAPIClient(s, ""), random: rand.New(rand.NewPCG(chosenSeed(), uint64(i)+1)), tally: newTally()}
	}
	return all
}

// start has everybody do something at once.
func (s load) start(do func(*worker)) *sync.WaitGroup {
	var working sync.WaitGroup
	for _, w := range s {
		working.Go(func() { do(w) })
	}
	return &working
}

// run is begin, to its end.
func (s load) run(do func(*worker)) { s.start(do).Wait() }

func (s load) sum() (sum tally, people int) {
	sum = newTally()
	for _, w := range s {
		sum.add(w.tally)
		people += len(w.people) + len(w.former)
	}
	return sum, people
}

// startUntil has everybody work until then.
func (s load) startUntil(over func() bool) *sync.WaitGroup {
	return s.start(func(w *worker) {
		for w.disconnected = false; !w.disconnected && !over(); {
			w.randomAction()
		}
	})
}
