// Package redis keeps buckets of tokens on a Redis or Valkey server that several servers of Keylodge share.
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

// takeScript runs on the server as one piece, by the server's clock: of any number of servers of Keylodge none sees a bucket in
// between, and none has a clock of its own to be wrong.
var takeScript = redis.NewScript(takeScriptSource)

// keyPrefix keeps our keys apart from whatever else is in the same database.
const keyPrefix = "keylodge:rate:"

// Buckets are those of a Redis database. Each goes by itself when it is full.
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
	answer, err := takeScript.Run(ctx, b.client, keys, arguments...).Int64Slice()
	if err != nil {
		return nil, fmt.Errorf("counting in %s: %w: %w", b.name, domain.ErrUnavailable, err)
	}
	if len(answer) != 2*len(from) {
		return nil, fmt.Errorf("counting in %s: %w: %d numbers came back for %d buckets", b.name, domain.ErrUnavailable, len(answer), len(from))
	}
	levels := make([]domain.BucketState, len(from))
	for i, bucket := range from {
		levels[i] = bucket.Limit.BucketState(time.Duration(answer[2*i+1])*time.Microsecond, answer[2*i] == 1)
	}
	return levels, nil
}

// DeleteExpired implements ports.Buckets: there is nothing to do.
func (b *Buckets) DeleteExpired(context.Context) error { return nil }

// Close gives the connections back.
func (b *Buckets) Close() error { return b.client.Close() }
