package main

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// Overload is the result of many clients that sign in for a long time, after which the server is killed.
type Overload struct {
	Measurement
	Lost int `json:"lost"` // sign-ins that were acknowledged and whose session does not exist after the restart
}

// overloadClients is more than the server's group commits and queues are made for.
const overloadClients = 256

// overload signs in for this duration, kills the server, starts it again and checks each session.
func overload(s *server, duration time.Duration) (o Overload, err error) {
	var mu sync.Mutex
	var tokens []string
	op := operation{"login", func(s *server, c *conn) (func() error, error) {
		return func() error {
			token, err := signIn(s.dialect, c, s.users.any())
			if err == nil {
				mu.Lock()
				defer mu.Unlock()
				tokens = append(tokens, token)
			}
			return err
		}, nil
	}}
	if o.Measurement, err = measure(s, op, overloadClients, duration); err != nil {
		return o, err
	}
	s.kill()
	if err := s.run(); err != nil {
		return o, err
	}
	o.Lost, err = countLost(s, tokens)
	return o, err
}

func countLost(s *server, tokens []string) (int, error) {
	var next, lost atomic.Int64
	var wait sync.WaitGroup
	var mu sync.Mutex
	var broken error
	for range 16 {
		wait.Go(func() {
			c, err := dial(s.host)
			for ; err == nil; c.close() {
				for {
					i := int(next.Add(1)) - 1
					if i >= len(tokens) {
						c.close()
						return
					}
					if err = s.dialect.checkSession(c, tokens[i]); err != nil {
						break
					}
				}
				var status *statusError
				if !errors.As(err, &status) || status.status != 401 {
					break
				}
				lost.Add(1)
				err = nil
			}
			mu.Lock()
			defer mu.Unlock()
			broken = errors.Join(broken, err)
		})
	}
	wait.Wait()
	return int(lost.Load()), broken
}
