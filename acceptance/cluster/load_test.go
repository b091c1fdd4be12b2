package cluster

import (
	"errors"
	"sync"
	"sync/atomic"

	"github.com/keylodge/keylodge/acceptance/testkit/client"
)

// load runs clients that continuously send requests to the load balancer.
type load struct {
	cluster *cluster
	working sync.WaitGroup
	stopped chan struct{}
	served  atomic.Int64 // rounds, of several requests each

	mu               sync.Mutex
	acknowledged     []*person // whose sign-up was acknowledged
	connectionErrors []error   // no response of a node: the connection failed, or the load balancer reported an error
	rejections       []error   // unexpected error responses
}

// startLoad starts the load. It stops with stop or with the test.
func (c *cluster) startLoad() *load {
	l := &load{cluster: c, stopped: make(chan struct{})}
	for range 2 {
		l.working.Go(func() { l.repeat(l.signUpRound) })
		l.working.Go(func() { l.repeat(l.appRound) })
	}
	c.t.Cleanup(l.stop)
	return l
}

func (l *load) stop() {
	select {
	case <-l.stopped:
	default:
		close(l.stopped)
	}
	l.working.Wait()
}

func (l *load) isStopped() bool {
	select {
	case <-l.stopped:
		return true
	default:
		return l.cluster.t.Failed()
	}
}

func (l *load) repeat(do func() error) {
	for !l.isStopped() {
		err := do()
		l.record(err)
	}
}

func (l *load) record(err error) {
	l.served.Add(1)
	if err == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if problem := (*client.Problem)(nil); errors.As(err, &problem) && (problem.Code != "" || problem.Status < 502) {
		l.rejections = append(l.rejections, err)
		return
	}
	l.connectionErrors = append(l.connectionErrors, err)
}

// resetConnectionErrors clears the connection errors and returns how many there were.
func (l *load) resetConnectionErrors() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.connectionErrors)
	l.connectionErrors = nil
	return n
}

// signUpRound signs up, signs in again, and reads the session.
func (l *load) signUpRound() error {
	p := l.cluster.person()
	if err := p.signUp(); err != nil {
		return err
	}
	l.mu.Lock()
	l.acknowledged = append(l.acknowledged, p)
	l.mu.Unlock()
	if _, err := p.signIn("cookie"); err != nil {
		return err
	}
	_, err := p.whoAmI()
	return err
}

// appRound signs in, and repeatedly uses its access token, issues another one, and refreshes.
func (l *load) appRound() error {
	p := l.cluster.person()
	if err := p.signUp(); err != nil {
		return err
	}
	p = p.withApp()
	if _, err := p.signIn("bearer"); err != nil {
		return err
	}
	for range 20 {
		if l.isStopped() {
			return nil
		}
		if _, err := p.whoAmI(); err != nil {
			return err
		}
		if _, err := p.IssueAccessToken(); err != nil {
			return err
		}
		if err := p.refresh(); err != nil {
			return err
		}
		l.served.Add(1)
	}
	return nil
}

// waitForRounds waits until this number of further rounds was served.
func (l *load) waitForRounds(rounds int64) {
	l.cluster.t.Helper()
	want := l.served.Load() + rounds
	l.cluster.waitFor("the load is served", func() bool { return l.served.Load() >= want })
}
