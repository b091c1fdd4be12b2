// Package ratelimit decides who called too often.
package ratelimit

import (
	"context"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Admit takes a token for a call, before anything is looked up for it.
type Admit struct {
	Limits domain.RateLimits // none: everybody is admitted
	Key    domain.RateKey
	Clock  ports.Clock
	Counts *Counts
}

// Caller is whom a call counts against: a network, with the name of the account that the call is about if it says one, or
// somebody who is signed in.
type Caller struct {
	From domain.Network
	Name string // as one account is always called: an e-mail address in its canonical form, or an id; "" for none
	User domain.UserID
}

// Standing is how much a caller has left under one policy.
type Standing struct {
	Policy domain.RatePolicy
	Limit  domain.RateLimit
	domain.Level
}

// Execute returns how the caller stands under each policy that limits the class. It fails with a *domain.Wait if one of them
// has nothing left, or with domain.ErrUncounted for what guards a secret while nobody can count.
func (a *Admit) Execute(ctx context.Context, class domain.RateClass, caller Caller) ([]Standing, error) {
	if len(a.Limits) == 0 {
		return nil, nil
	}
	standings, buckets := a.buckets(class, caller)
	if len(buckets) == 0 {
		return nil, nil
	}
	levels, err := a.Counts.take(ctx, class, buckets)
	if err != nil {
		return nil, err
	}
	var wait time.Duration
	var known []Standing
	for i, level := range levels {
		if level == (domain.Level{}) {
			continue
		}
		standings[i].Level = level
		known = append(known, standings[i])
		if !level.Taken {
			wait = max(wait, level.Next)
		}
	}
	if wait > 0 {
		return known, &domain.Wait{Until: a.Clock.Now().Add(wait), For: wait}
	}
	return known, nil
}

func (a *Admit) buckets(class domain.RateClass, caller Caller) (standings []Standing, buckets []domain.Bucket) {
	add := func(p domain.RatePolicy, subject func(p domain.RatePolicy) domain.RateSubject) {
		if limit, limited := a.Limits[p]; limited {
			standings = append(standings, Standing{Policy: p, Limit: limit})
			buckets = append(buckets, domain.Bucket{Subject: subject(p), Limit: limit})
		}
	}
	if !caller.User.IsZero() {
		add(class.PerAccount(), func(p domain.RatePolicy) domain.RateSubject { return a.Key.User(p, caller.User) })
		return standings, buckets
	}
	add(class.PerAddress(), func(p domain.RatePolicy) domain.RateSubject { return a.Key.Address(p, caller.From) })
	if caller.Name != "" {
		add(class.PerAccount(), func(p domain.RatePolicy) domain.RateSubject { return a.Key.Named(p, caller.Name, caller.From) })
	}
	return standings, buckets
}
