package main

import (
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// users are those who signed up at a server.
type users struct {
	mu   sync.Mutex
	list []*user
}

func (u *users) add(one *user) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.list = append(u.list, one)
}

func (u *users) any() *user {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.list[mathrand.IntN(len(u.list))]
}

// An operation is what the clients repeat.
type operation struct {
	name string
	// client prepares one client, and returns what it repeats.
	client func(s *server, c *conn) (func() error, error)
}

var (
	signUps = operation{"sign-up", func(s *server, c *conn) (func() error, error) {
		return func() error {
			u, err := signUp(s.dialect, c, s.origin)
			if err == nil {
				s.users.add(u)
			}
			return err
		}, nil
	}}
	logins = operation{"login", func(s *server, c *conn) (func() error, error) {
		return func() error {
			_, err := signIn(s.dialect, c, s.users.any())
			return err
		}, nil
	}}
	sessionChecks = operation{"session check", func(s *server, c *conn) (func() error, error) {
		return checkSessions(s.dialect, s, c)
	}}
	cookieChecks = operation{"session check by cookie", func(s *server, c *conn) (func() error, error) {
		return checkSessions(keylodge{byCookie: true}, s, c)
	}}
)

// checkSessions repeats the check of one new session of each client.
func checkSessions(d dialect, s *server, c *conn) (func() error, error) {
	token, err := signIn(d, c, s.users.any())
	return func() error { return d.checkSession(c, token) }, err
}

// Measurement is what one operation costs with this number of clients.
type Measurement struct {
	Server       string  `json:"server"`
	Operation    string  `json:"operation"`
	Clients      int     `json:"clients"`
	Count        int     `json:"count"`
	PerSecond    float64 `json:"per_second"`
	P50          float64 `json:"p50_us"`
	P99          float64 `json:"p99_us"`
	CPU          float64 `json:"cpu_us"` // of the server, and of its database
	Errors       int     `json:"errors"`
	FirstFailure string  `json:"first_error,omitempty"`
}

// warmUp is the part of a measurement that is not counted, relative to its duration.
const warmUp = 0.2

// measure lets the clients repeat the operation for this duration, after a warm-up.
func measure(s *server, op operation, clients int, duration time.Duration) (Measurement, error) {
	m := Measurement{Server: s.name, Operation: op.name, Clients: clients}
	var counting, stopping atomic.Bool
	var counted atomic.Int64
	var wait sync.WaitGroup
	var mu sync.Mutex
	var latencies []time.Duration
	prepared := make(chan error, clients)
	begin := make(chan struct{})
	for range clients {
		wait.Go(func() {
			c, err := dial(s.host)
			if err != nil {
				prepared <- err
				return
			}
			defer func() { c.close() }()
			repeat, err := op.client(s, c)
			prepared <- err
			if err != nil {
				return
			}
			<-begin
			var own []time.Duration
			var failures int
			var first error
			for !stopping.Load() {
				began := time.Now()
				err := repeat()
				took := time.Since(began)
				switch {
				case err != nil:
					failures++
					first = errors.Join(first, err)
					var status *statusError
					if !errors.As(err, &status) { // the connection is broken
						stopping.Store(true)
					}
				case counting.Load():
					own = append(own, took)
					counted.Add(1)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			latencies = append(latencies, own...)
			m.Errors += failures
			if first != nil {
				m.FirstFailure = first.Error()
			}
		})
	}
	var err error
	for range clients {
		err = errors.Join(err, <-prepared)
	}
	if err != nil {
		stopping.Store(true)
	}
	close(begin)
	time.Sleep(time.Duration(warmUp * float64(duration)))
	before, err1 := s.cpu()
	counting.Store(true)
	began := time.Now()
	time.Sleep(duration)
	for counted.Load() == 0 && !stopping.Load() && time.Since(began) < requestTimeout { // on a busy machine
		time.Sleep(duration)
	}
	counting.Store(false)
	took := time.Since(began)
	after, err2 := s.cpu()
	stopping.Store(true)
	wait.Wait()
	if err := errors.Join(err, err1, err2); err != nil {
		return m, fmt.Errorf("%s, %s with %d clients: %w", s.name, op.name, clients, err)
	}
	m.Count = len(latencies)
	if m.Count == 0 {
		return m, nil // FirstFailure is the reason
	}
	slices.Sort(latencies)
	m.PerSecond = float64(m.Count) / took.Seconds()
	m.P50, m.P99 = microseconds(latencies[m.Count/2]), microseconds(latencies[m.Count*99/100])
	m.CPU = microseconds(after-before) / float64(m.Count)
	return m, nil
}

func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
