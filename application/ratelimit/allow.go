// Package ratelimit decides who called too often.
package ratelimit

import (
	"context"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Allow takes a token for a call, before anything is looked up for it.
type Allow struct {
	Limits  domain.RateLimits // none: everybody is admitted
	Key     domain.RateKey
	Clock   ports.Clock
	Limiter *Limiter
}

// Caller is whom a call counts against: a network, with the name of the account that the call is about if it says one, or
// somebody who is signed in.
type Caller struct {
	Network     domain.Network
	AccountName string // as one account is always called: an e-mail address in its canonical form, or an id; "" for none
	User        domain.UserID
}

// LimitStatus is how much a caller has left under one policy.
type LimitStatus struct {
	Policy domain.RatePolicy
	Limit  domain.RateLimit
	domain.BucketState
}

// Execute returns how the caller stands under each policy that limits the class. It fails with a *domain.RetryAfterError if one of them
// has nothing left, or with domain.ErrLimiterUnavailable for what guards a secret while nobody can count.
func (a *Allow) Execute(ctx context.Context, class domain.RateClass, caller Caller) ([]LimitStatus, error) {
	if len(a.Limits) == 0 {
		return nil, nil
	}
	standings, buckets := a.buckets(class, caller)
	if len(buckets) == 0 {
		return nil, nil
	}
	levels, err := a.Limiter.take(ctx, class, buckets)
	if err != nil {
		return nil, err
	}
	var wait time.Duration
	var known []LimitStatus
	for i, level := range levels {
		if level == (domain.BucketState{}) {
			continue
		}
		standings[i].BucketState = level
		known = append(known, standings[i])
		if !level.Allowed {
			wait = max(wait, level.NextTokenIn)
		}
	}
	if wait > 0 {
		return known, &domain.RetryAfterError{Until: a.Clock.Now().Add(wait), Delay: wait}
	}
	return known, nil
}

func (a *Allow) buckets(class domain.RateClass, caller Caller) (standings []LimitStatus, buckets []domain.Bucket) {
	add := func(p domain.RatePolicy, subject func(p domain.RatePolicy) domain.RateSubject) {
		if limit, limited := a.Limits[p]; limited {
			standings = append(standings, LimitStatus{Policy: p, Limit: limit})
			buckets = append(buckets, domain.Bucket{Subject: subject(p), Limit: limit})
		}
	}
	if !caller.User.IsZero() {
		add(class.PerAccount(), func(p domain.RatePolicy) domain.RateSubject { return a.Key.User(p, caller.User) })
		return standings, buckets
	}
	add(class.PerNetwork(), func(p domain.RatePolicy) domain.RateSubject { return a.Key.Network(p, caller.Network) })
	if caller.AccountName != "" {
		add(class.PerAccount(), func(p domain.RatePolicy) domain.RateSubject {
			return a.Key.NameAndNetwork(p, caller.AccountName, caller.Network)
		})
	}
	return standings, buckets
}
