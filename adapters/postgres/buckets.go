package postgres

import (
	"context"
	"time"

	"github.com/keylodge/keylodge/db/postgresdb"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Buckets are those that all servers of one database share. A call is one statement by itself, by the database's clock, and
// not a unit of work: a token stays taken whatever becomes of the call that it was taken for.
type Buckets struct{ store *Store }

var _ ports.Buckets = Buckets{}

// Buckets takes turns on the connections of the store.
func (s *Store) Buckets() ports.Buckets { return Buckets{s} }

// Take implements ports.Buckets.
func (b Buckets) Take(ctx context.Context, from ...domain.Bucket) ([]domain.BucketState, error) {
	var query postgresdb.TakeTokensParams
	levels := make([]domain.BucketState, len(from))
	for i, bucket := range from {
		query.Subjects = append(query.Subjects, bucket.Subject[:])
		query.Intervals = append(query.Intervals, bucket.Limit.Interval().Microseconds())
		query.FillTimes = append(query.FillTimes, bucket.Limit.FillTime().Microseconds())
		// Of a bucket that somebody else has just made and emptied nothing comes back.
		levels[i] = bucket.Limit.BucketState(bucket.Limit.FillTime(), false)
	}
	err := b.autocommit(ctx, "counting a call", func(queries *postgresdb.Queries) error {
		rows, err := queries.TakeTokens(ctx, query)
		for _, row := range rows {
			for i, bucket := range from {
				if string(row.Subject) == string(bucket.Subject[:]) {
					levels[i] = bucket.Limit.BucketState(time.Duration(row.FullIn)*time.Microsecond, row.Taken)
				}
			}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return levels, nil
}

// deleteBatch is small enough that a sweep never keeps a call waiting.
const deleteBatch = 1000

// DeleteExpired implements ports.Buckets.
func (b Buckets) DeleteExpired(ctx context.Context) error {
	for swept := int64(deleteBatch); swept == deleteBatch; {
		err := b.autocommit(ctx, "sweeping counts", func(queries *postgresdb.Queries) (err error) {
			swept, err = queries.DeleteExpiredBuckets(ctx, deleteBatch)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// autocommit runs one statement outside of any unit of work. On a database that is serializable throughout it may meet another.
func (b Buckets) autocommit(ctx context.Context, doing string, run func(*postgresdb.Queries) error) error {
	var tries retryState
	for {
		conn, err := b.store.acquire(ctx)
		if err != nil {
			return err
		}
		if err = run(postgresdb.New(conn)); err == nil {
			conn.Release()
			return nil
		}
		err = classify(ctx, conn.Conn(), err)
		conn.Release()
		b.store.resetOnFailover(err)
		if !tries.shouldRetry(ctx, err) {
			return b.store.withAdvice(wrap(doing, err))
		}
		if err := tries.backOff(ctx); err != nil {
			return err
		}
	}
}
