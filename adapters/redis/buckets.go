// Package redis stores token buckets in a Redis or Valkey server that several nodes share.
package redis

import (
	"context"
	_ "embed"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/gomodule/redigo/redis"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

//go:embed take.lua
var takeScriptSource string

// takeScript runs atomically and with the clock of the Redis server, so that the clocks of the nodes need not agree.
var takeScript = redis.NewScript(-1, takeScriptSource)

// keyPrefix separates the keys from those of other applications in the same database.
const keyPrefix = "keylodge:rate:"

// Buckets are the buckets in a Redis database. The key of a bucket expires when the bucket is full.
type Buckets struct {
	pool   *redis.Pool
	server server
}

var _ ports.Buckets = (*Buckets)(nil)

// Take implements ports.Buckets.
func (b *Buckets) Take(ctx context.Context, from ...domain.Bucket) ([]domain.BucketState, error) {
	arguments := make([]any, 0, 1+3*len(from))
	arguments = append(arguments, len(from))
	for _, bucket := range from {
		arguments = append(arguments, keyPrefix+hex.EncodeToString(bucket.Subject[:]))
	}
	for _, bucket := range from {
		arguments = append(arguments, bucket.Limit.Interval().Microseconds(), bucket.Limit.FillTime().Microseconds())
	}
	reply, err := b.runTakeScript(ctx, arguments)
	if err != nil {
		return nil, fmt.Errorf("taking a token from %s: %w: %w", b.server.name(), domain.ErrUnavailable, err)
	}
	if len(reply) != 2*len(from) {
		return nil, fmt.Errorf("taking a token from %s: %w: the reply has %d numbers for %d buckets", b.server.name(), domain.ErrUnavailable, len(reply), len(from))
	}
	states := make([]domain.BucketState, len(from))
	for i, bucket := range from {
		states[i] = bucket.Limit.BucketState(time.Duration(reply[2*i+1])*time.Microsecond, reply[2*i] == 1)
	}
	return states, nil
}

// runTakeScript runs the script. It repeats it on a new connection if the connection fails: the first use of a connection that the
// server has closed does.
func (b *Buckets) runTakeScript(ctx context.Context, arguments []any) ([]int64, error) {
	conn, err := b.pool.GetContext(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }() // returns it to the pool
	reply, err := redis.Int64s(takeScript.DoContext(ctx, conn, arguments...))
	if err == nil || conn.Err() == nil || ctx.Err() != nil {
		return reply, err
	}
	again, err := b.server.dial(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = again.Close() }()
	return redis.Int64s(takeScript.DoContext(ctx, again, arguments...))
}

// DeleteExpired implements ports.Buckets. It does nothing, because keys expire.
func (b *Buckets) DeleteExpired(context.Context) error { return nil }

// Close closes the connections.
func (b *Buckets) Close() error { return b.pool.Close() }
