package ports

import (
	"context"

	"github.com/keylodge/keylodge/domain"
)

// Buckets stores token buckets. A bucket is full before its first use and gains a token every [domain.RateLimit.Interval].
// The state of an empty bucket says when its next token comes.
type Buckets interface {
	// Take takes a token from each of the buckets that has one, independently of the others, and returns their states in the
	// same order. The subjects must differ. Concurrent calls, from all nodes that share the buckets, never take more tokens
	// than a bucket has. It fails with domain.ErrUnavailable if the store is unavailable; tokens may have been taken then.
	Take(ctx context.Context, from ...domain.Bucket) ([]domain.BucketState, error)
	// DeleteExpired deletes buckets that are full, which equal new ones. It does nothing if the store does this itself.
	DeleteExpired(ctx context.Context) error
}

// LimiterObserver receives the state of the shared buckets. Its methods are called concurrently.
type LimiterObserver interface {
	// Unavailable is called once for each outage of the shared buckets.
	Unavailable(cause error)
	// Recovered is called once the shared buckets are available again.
	Recovered()
	// Fallback is called for each decision that was made without them: the request was rejected, or local buckets were used.
	Fallback(rejected bool)
}
