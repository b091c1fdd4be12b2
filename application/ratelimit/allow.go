package ratelimit

import (
	"context"
	"fmt"
	"time"

	"github.com/keylodge/keylodge/domain"
)

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

// Allow takes a token from each bucket of the caller, before the database is read for the request, and returns their states. It
// returns a *domain.RetryAfterError if a bucket is empty, and domain.ErrLimiterUnavailable if the class fails closed and the shared
// buckets are unavailable.
func (s *Service) Allow(ctx context.Context, class domain.RateClass, caller Caller) ([]LimitStatus, error) {
	statuses, buckets := s.buckets(class, caller)
	if len(buckets) == 0 {
		return nil, nil
	}
	states, err := s.take(ctx, class, buckets)
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
		return known, &domain.RetryAfterError{Until: s.Clock.Now().Add(wait), Delay: wait}
	}
	return known, nil
}

func (s *Service) buckets(class domain.RateClass, caller Caller) (statuses []LimitStatus, buckets []domain.Bucket) {
	add := func(p domain.RatePolicy, subject func(p domain.RatePolicy) domain.RateSubject) {
		if limit, limited := s.Limits[p]; limited {
			statuses = append(statuses, LimitStatus{Policy: p, Limit: limit})
			buckets = append(buckets, domain.Bucket{Subject: subject(p), Limit: limit})
		}
	}
	if !caller.User.IsZero() {
		add(class.PerAccount(), func(p domain.RatePolicy) domain.RateSubject { return s.Key.User(p, caller.User) })
		return statuses, buckets
	}
	add(class.PerNetwork(), func(p domain.RatePolicy) domain.RateSubject { return s.Key.Network(p, caller.Network) })
	if caller.AccountName != "" {
		add(class.PerAccount(), func(p domain.RatePolicy) domain.RateSubject {
			return s.Key.NameAndNetwork(p, caller.AccountName, caller.Network)
		})
	}
	return statuses, buckets
}

func (s *Service) take(ctx context.Context, class domain.RateClass, buckets []domain.Bucket) ([]domain.BucketState, error) {
	if s.Shared == nil {
		return s.Local.Take(ctx, buckets...)
	}
	now := s.Clock.Now()
	if states, known := s.denied.lookUp(buckets, now); known {
		return states, nil
	}
	if s.breaker.allow(now) {
		states, err := s.takeShared(ctx, buckets)
		if err == nil {
			if s.breaker.succeeded() {
				s.Observer.Recovered()
			}
			s.denied.store(buckets, states, now)
			return states, nil
		}
		if ctx.Err() != nil { // the request was canceled, so the error says nothing about the shared buckets
			s.breaker.release()
			return nil, fmt.Errorf("taking a token: %w", ctx.Err())
		}
		if s.breaker.failed(s.Clock.Now()) {
			s.Observer.Unavailable(err)
		}
	}
	s.Observer.Fallback(class.FailsClosed())
	if class.FailsClosed() {
		return nil, domain.ErrLimiterUnavailable
	}
	return s.Local.Take(ctx, buckets...)
}

// sharedTimeout bounds a request to the shared buckets, including the wait for a connection. It is the delay of a request
// that detects a failure, and long enough for a busy store.
const sharedTimeout = 2 * time.Second

func (s *Service) takeShared(ctx context.Context, buckets []domain.Bucket) ([]domain.BucketState, error) {
	ctx, cancel := context.WithTimeout(ctx, sharedTimeout)
	defer cancel()
	return s.Shared.Take(ctx, buckets...)
}
