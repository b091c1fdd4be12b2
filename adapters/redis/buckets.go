// Package redis stores token buckets in a Redis or Valkey server that several nodes share.
package redis

import (
	"context"
	_ "embed"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

//go:embed take.lua
var takeScriptSource string

// takeScript runs atomically and with the clock of the Redis server, so that the clocks of the nodes need not agree.
var takeScript = redis.NewScript(takeScriptSource)

// keyPrefix separates the keys from those of other applications in the same database.
const keyPrefix = "keylodge:rate:"

// Buckets are the buckets in a Redis database. The key of a bucket expires when the bucket is full.
type Buckets struct {
	client *redis.Client
	name   string
}

var _ ports.Buckets = (*Buckets)(nil)

// Take implements ports.Buckets.
func (b *Buckets) Take(ctx context.Context, from ...domain.Bucket) ([]domain.BucketState, error) {
	keys := make([]string, len(from))
	arguments := make([]any, 0, 2*len(from))
	for i, bucket := range from {
		keys[i] = keyPrefix + hex.EncodeToString(bucket.Subject[:])
		arguments = append(arguments, bucket.Limit.Interval().Microseconds(), bucket.Limit.FillTime().Microseconds())
	}
	reply, err := takeScript.Run(ctx, b.client, keys, arguments...).Int64Slice()
	if err != nil {
		return nil, fmt.Errorf("taking a token from %s: %w: %w", b.name, domain.ErrUnavailable, err)
	}
	if len(reply) != 2*len(from) {
		return nil, fmt.Errorf("taking a token from %s: %w: the reply has %d numbers for %d buckets", b.name, domain.ErrUnavailable, len(reply), len(from))
	}
	states := make([]domain.BucketState, len(from))
	for i, bucket := range from {
		states[i] = bucket.Limit.BucketState(time.Duration(reply[2*i+1])*time.Microsecond, reply[2*i] == 1)
	}
	return states, nil
}

// DeleteExpired implements ports.Buckets. It does nothing, because keys expire.
func (b *Buckets) DeleteExpired(context.Context) error { return nil }

// Close closes the connections.
func (b *Buckets) Close() error { return b.client.Close() }
