package ports

import (
	"context"

	"github.com/keylodge/keylodge/domain"
)

// Buckets hold tokens, for as many subjects as there are. A bucket is full until somebody takes from it, and fills again at
// an even pace, a token each [domain.RateLimit.Interval]. The level of one that had no token says when there is one.
type Buckets interface {
	// Take takes a token from each of the buckets that has one, whatever the others have, and says what is in them now, in
	// the order of the question. The subjects are different ones. However many ask at once, whether on one server or on all
	// that share the buckets, no more tokens are taken than there are. It fails with domain.ErrUnavailable if the buckets are
	// out of reach; a token may have been taken all the same.
	Take(ctx context.Context, from ...domain.Bucket) ([]domain.BucketState, error)
	// DeleteExpired forgets buckets that are full, which are like those that were never taken from. Where they go by themselves there
	// is nothing to do.
	DeleteExpired(ctx context.Context) error
}

// LimiterObserver hears what becomes of buckets that servers share. It may be told from many goroutines at once.
type LimiterObserver interface {
	// Unavailable is told once each time that they are out of reach, and Back once they are there again.
	Unavailable(cause error)
	Recovered()
	// Fallback is told of each call that was decided without them: shut out, or counted on this server only.
	Fallback(shut bool)
}
