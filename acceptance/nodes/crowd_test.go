package nodes

import (
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
)

// crowd are people and programs who come to the load balancer all the time.
type crowd struct {
	cluster *cluster
	working sync.WaitGroup
	left    chan struct{}
	served  atomic.Int64 // rounds, of several requests each

	mu           sync.Mutex
	acknowledged []*person // who were told that they have an account
	cutOff       []error   // no answer of ours: the connection broke, or the load balancer could not help it
	turnedAway   []error   // answers that nobody deserved
}

// crowd begins to come. It goes with leave, or with the test.
func (c *cluster) crowd() *crowd {
	b := &crowd{cluster: c, left: make(chan struct{})}
	for range 2 {
		b.working.Go(func() { b.each(b.newcomer) })
		b.working.Go(func() { b.each(b.program) })
	}
	c.t.Cleanup(b.leave)
	return b
}

func (b *crowd) leave() {
	select {
	case <-b.left:
	default:
		close(b.left)
	}
	b.working.Wait()
}

func (b *crowd) gone() bool {
	select {
	case <-b.left:
		return true
	default:
		return b.cluster.t.Failed()
	}
}

func (b *crowd) each(do func() error) {
	for !b.gone() {
		err := do()
		b.note(err)
	}
}

func (b *crowd) note(err error) {
	b.served.Add(1)
	if err == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if r := (refused{}); errors.As(err, &r) && (r.Code != "" || r.status < 502) {
		b.turnedAway = append(b.turnedAway, err)
		return
	}
	b.cutOff = append(b.cutOff, err)
}

// forget starts the count of those who were cut off anew, and returns how many they were.
func (b *crowd) forget() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := len(b.cutOff)
	b.cutOff = nil
	return n
}

// newcomer signs up, signs in once more, and looks.
func (b *crowd) newcomer() error {
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
	return p.ask(http.MethodGet, "/v1/session", nil, nil)
}

// program signs in and goes on for a while: it refreshes its tokens, uses them, and mints some for others.
func (b *crowd) program() error {
	p := b.cluster.person()
	if err := p.signUp(); err != nil {
		return err
	}
	p = p.program()
	in, err := p.signIn("bearer")
	if err != nil {
		return err
	}
	for range 20 {
		if b.gone() {
			return nil
		}
		if _, err := p.isIn(); err != nil {
			return err
		}
		if _, err := p.mint(); err != nil {
			return err
		}
		if err := p.refresh(&in); err != nil {
			return err
		}
		b.served.Add(1)
	}
	return nil
}

// lasts waits until so many more rounds were served, by whichever nodes are there.
func (b *crowd) lasts(rounds int64) {
	b.cluster.t.Helper()
	enough := b.served.Load() + rounds
	b.cluster.until("the crowd is served", func() bool { return b.served.Load() >= enough })
}
