// Package housekeeping keeps the store from growing with what is over.
package housekeeping

import (
	"context"
	"time"

	"github.com/keylodge/keylodge/ports"
)

// What is over is kept for a while, so that a latecomer hears that it has expired rather than that it never was; events for
// as long as somebody may want to look back.
const (
	challengeRetention = 5 * time.Minute
	sessionRetention   = 24 * time.Hour
	lockoutRetention   = 400 * 24 * time.Hour // of silence; names that nobody has would gather for ever
	eventRetention     = 400 * 24 * time.Hour // a year and a month, so that last year's can still be read
)

// batch is small, so that a sweep after a long absence never holds a sign-in up for more than a few milliseconds.
const batch = 256

// Sweep removes challenges, sessions, grants and messages that are over, and counts and events of long ago.
type Sweep struct {
	Store ports.Store
	Clock ports.Clock
}

// Swept says how many were removed.
type Swept struct{ Challenges, Sessions, Grants, Lockouts, Messages, Events int }

// Execute removes everything that is due, one small unit of work after another. What was removed before an error stays
// removed and is counted.
func (s *Sweep) Execute(ctx context.Context) (Swept, error) {
	now := s.Clock.Now()
	var swept Swept
	for _, one := range []struct {
		total *int
		sweep func(ports.Tx) (int, error)
	}{
		{&swept.Challenges, func(tx ports.Tx) (int, error) { return tx.Challenges.Sweep(ctx, now.Add(-challengeRetention), batch) }},
		{&swept.Sessions, func(tx ports.Tx) (int, error) { return tx.Sessions.Sweep(ctx, now.Add(-sessionRetention), batch) }},
		{&swept.Grants, func(tx ports.Tx) (int, error) { return tx.Grants.Sweep(ctx, now, batch) }},
		{&swept.Lockouts, func(tx ports.Tx) (int, error) { return tx.Lockouts.Sweep(ctx, now.Add(-lockoutRetention), batch) }},
		{&swept.Messages, func(tx ports.Tx) (int, error) { return tx.Messages.Sweep(ctx, now, batch) }},
		{&swept.Events, func(tx ports.Tx) (int, error) { return tx.Events.Sweep(ctx, now.Add(-eventRetention), batch) }},
	} {
		if err := s.inBatches(ctx, one.total, one.sweep); err != nil {
			return swept, err
		}
	}
	return swept, nil
}

func (s *Sweep) inBatches(ctx context.Context, total *int, sweep func(ports.Tx) (int, error)) error {
	for {
		var n int
		err := s.Store.Update(ctx, func(tx ports.Tx) (err error) {
			n, err = sweep(tx)
			return err
		})
		if err != nil {
			return err
		}
		*total += n
		if n < batch {
			return nil
		}
	}
}
