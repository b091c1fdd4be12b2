package durability

import (
	"math/rand/v2"
	"sync"
	"testing"
)

// load is the set of workers that keep a server busy.
type load []*worker

const workerCount = 16

func newLoad(t *testing.T, s *server) load {
	t.Helper()
	t.Logf("-seed=%d", chosenSeed())
	all := make(load, workerCount)
	for i := range all {
		all[i] = &worker{t: t, number: i, caller: newAPIClient(s), random: rand.New(rand.NewPCG(chosenSeed(), uint64(i)+1)), tally: newTally()}
	}
	return all
}

// start runs do in all workers concurrently.
func (s load) start(do func(*worker)) *sync.WaitGroup {
	var working sync.WaitGroup
	for _, w := range s {
		working.Go(func() { do(w) })
	}
	return &working
}

// run is start, and waits for the end.
func (s load) run(do func(*worker)) { s.start(do).Wait() }

func (s load) sum() (sum tally, accounts int) {
	sum = newTally()
	for _, w := range s {
		sum.add(w.tally)
		accounts += len(w.people) + len(w.former)
	}
	return sum, accounts
}

// startUntil starts all workers, which perform random actions until done reports true.
func (s load) startUntil(done func() bool) *sync.WaitGroup {
	return s.start(func(w *worker) {
		for w.disconnected = false; !w.disconnected && !done(); {
			w.randomAction()
		}
	})
}
