package nodes

import (
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
)

// load are people and programs who come to the load balancer all the time.
type load struct {
	cluster *cluster
	working sync.WaitGroup
	stopped chan struct{}
	served  atomic.Int64 // rounds, of several requests each

	mu               sync.Mutex
	acknowledged     []*person // who were told that they have an account
	connectionErrors []error   // no answer of ours: the connection broke, or the load balancer could not help it
	rejections       []error   // answers that nobody deserved
}

// startLoad begins to come. It goes with leave, or with the test.
func (c *cluster) startLoad() *load {
	b := &load{cluster: c, stopped: make(chan struct{})}
	for range 2 {
		b.working.Go(func() { b.repeat(b.signUpRound) })
		b.working.Go(func() { b.repeat(b.appClientRound) })
	}
	c.t.Cleanup(b.stop)
	return b
}

func (b *load) stop() {
	select {
	case <-b.stopped:
	default:
		close(b.stopped)
	}
	b.working.Wait()
}

func (b *load) isStopped() bool {
	select {
	case <-b.stopped:
		return true
	default:
		return b.cluster.t.Failed()
	}
}

func (b *load) repeat(do func() error) {
	for !b.isStopped() {
		err := do()
		b.record(err)
	}
}

func (b *load) record(err error) {
	b.served.Add(1)
	if err == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if r := (problemError{}); errors.As(err, &r) && (r.Code != "" || r.status < 502) {
		b.rejections = append(b.rejections, err)
		return
	}
	b.connectionErrors = append(b.connectionErrors, err)
}

// resetConnectionErrors starts the count of those who were cut off anew, and returns how many they were.
func (b *load) resetConnectionErrors() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := len(b.connectionErrors)
	b.connectionErrors = nil
	return n
}

// signUpRound signs up, signs in once more, and looks.
func (b *load) signUpRound() error {
	p := b.cluster.person()
	if err := p.signUp(); err != nil {
		return err
	}
	b.mu.Lock()
	b.acknowledged = append(b.acknowledged, p)
	b.mu.Unlock()
	if _, err := p.signIn("cookie"); err != nil {
		return err
	}
	return p.send(http.MethodGet, "/v1/session", nil, nil)
}

// appClientRound signs in and goes on for a while: it refreshes its tokens, uses them, and mints some for others.
func (b *load) appClientRound() error {
	p := b.cluster.person()
	if err := p.signUp(); err != nil {
		return err
	}
	p = p.appClient()
	in, err := p.signIn("bearer")
	if err != nil {
		return err
	}
	for range 20 {
		if b.isStopped() {
			return nil
		}
		if _, err := p.whoAmI(); err != nil {
			return err
		}
		if _, err := p.issueAccessToken(); err != nil {
			return err
		}
		if err := p.refresh(&in); err != nil {
			return err
		}
		b.served.Add(1)
	}
	return nil
}

// waitForRounds waits until so many more rounds were served, by whichever nodes are there.
func (b *load) waitForRounds(rounds int64) {
	b.cluster.t.Helper()
	enough := b.served.Load() + rounds
	b.cluster.waitFor("the crowd is served", func() bool { return b.served.Load() >= enough })
}
