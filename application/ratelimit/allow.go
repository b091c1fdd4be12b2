// Package ratelimit limits how often a client may call.
package ratelimit

import (
	"context"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Allow takes tokens for a request, before the database is read for it.
type Allow struct {
	Limits  domain.RateLimits // without limits every request is allowed
	Key     domain.RateKey
	Clock   ports.Clock
	Limiter *Limiter
}

// Caller identifies the buckets that a request takes tokens from: those of its user, or those of its network and of the
// account that it names.
type Caller struct {
	Network     domain.Network
	AccountName string // the canonical e-mail address or the id of the account; "" if the request names none
	User        domain.UserID
}

// LimitStatus is the state of a caller's bucket under one policy.
type LimitStatus struct {
	Policy domain.RatePolicy
	Limit  domain.RateLimit
	domain.BucketState
}

// Execute takes a token from each bucket of the caller and returns their states. It fails with *domain.RetryAfterError if a
// bucket is empty, and with domain.ErrLimiterUnavailable if the class fails closed and the shared buckets are unavailable.
func (a *Allow) Execute(ctx context.Context, class domain.RateClass, caller Caller) ([]LimitStatus, error) {
	if len(a.Limits) == 0 {
		return nil, nil
	}
	statuses, buckets := a.buckets(class, caller)
	if len(buckets) == 0 {
		return nil, nil
	}
	states, err := a.Limiter.take(ctx, class, buckets)
	if err != nil {
		return nil, err
	}
	var wait time.Duration
	var known []LimitStatus
	for i, state := range states {
		if state == (domain.BucketState{}) { // the cache of denials knows another bucket only
			continue
		}
		statuses[i].BucketState = state
		known = append(known, statuses[i])
		if !state.Allowed {
			wait = max(wait, state.NextTokenIn)
		}
	}
	if wait > 0 {
		return known, &domain.RetryAfterError{Until: a.Clock.Now().Add(wait), Delay: wait}
	}
	return known, nil
}

func (a *Allow) buckets(class domain.RateClass, caller Caller) (statuses []LimitStatus, buckets []domain.Bucket) {
	add := func(p domain.RatePolicy, subject func(p domain.RatePolicy) domain.RateSubject) {
		if limit, limited := a.Limits[p]; limited {
			statuses = append(statuses, LimitStatus{Policy: p, Limit: limit})
			buckets = append(buckets, domain.Bucket{Subject: subject(p), Limit: limit})
		}
	}
	if !caller.User.IsZero() {
		add(class.PerAccount(), func(p domain.RatePolicy) domain.RateSubject { return a.Key.User(p, caller.User) })
		return statuses, buckets
	}
	add(class.PerNetwork(), func(p domain.RatePolicy) domain.RateSubject { return a.Key.Network(p, caller.Network) })
	if caller.AccountName != "" {
		add(class.PerAccount(), func(p domain.RatePolicy) domain.RateSubject {
			return a.Key.NameAndNetwork(p, caller.AccountName, caller.Network)
		})
	}
	return statuses, buckets
}
