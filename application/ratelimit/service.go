// Package ratelimit limits how often a client may call.
package ratelimit

import (
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Service takes tokens from the buckets that all nodes share. While these are unavailable, it uses buckets of this node.
// Classes that fail closed return an error instead: with local buckets each node would allow the full number of guesses.
type Service struct {
	Limits   domain.RateLimits // without limits every request is allowed
	Key      domain.RateKey
	Clock    ports.Clock
	Shared   ports.Buckets // nil if there is one node
	Local    ports.Buckets
	Observer ports.LimiterObserver

	breaker breaker
	denied  denyCache
}
