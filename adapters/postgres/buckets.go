package postgres

import (
	"context"
	"time"

	"github.com/keylodge/keylodge/db/postgresdb"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Buckets are rate-limit buckets that all nodes of one database share. Each call is one statement outside any transaction and uses
// the database's clock. A token stays taken even if the request that took it fails.
type Buckets struct{ store *Store }

var _ ports.Buckets = Buckets{}

// Buckets returns the rate-limit buckets of the database. They use the connections of the store.
func (s *Store) Buckets() ports.Buckets { return Buckets{s} }

// Take implements ports.Buckets.
func (b Buckets) Take(ctx context.Context, from ...domain.Bucket) ([]domain.BucketState, error) {
	var query postgresdb.TakeTokensParams
	states := make([]domain.BucketState, len(from))
	for i, bucket := range from {
		query.Subjects = append(query.Subjects, bucket.Subject[:])
		query.Intervals = append(query.Intervals, bucket.Limit.Interval().Microseconds())
		query.FillTimes = append(query.FillTimes, bucket.Limit.FillTime().Microseconds())
		// The statement returns no row for a bucket that a concurrent call has just created and emptied.
		states[i] = bucket.Limit.BucketState(bucket.Limit.FillTime(), false)
	}
	err := b.autocommit(ctx, "taking a rate-limit token", func(queries *postgresdb.Queries) error {
		rows, err := queries.TakeTokens(ctx, query)
		for _, row := range rows {
			for i, bucket := range from {
				if string(row.Subject) == string(bucket.Subject[:]) {
					states[i] = bucket.Limit.BucketState(time.Duration(row.FullIn)*time.Microsecond, row.Taken)
				}
			}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return states, nil
}

// deleteBatch is the number of buckets that one statement deletes. A larger batch would make concurrent calls of Take wait.
const deleteBatch = 1000

// DeleteExpired implements ports.Buckets.
func (b Buckets) DeleteExpired(ctx context.Context) error {
	for deleted := int64(deleteBatch); deleted == deleteBatch; {
		err := b.autocommit(ctx, "deleting full rate-limit buckets", func(queries *postgresdb.Queries) (err error) {
			deleted, err = queries.DeleteExpiredBuckets(ctx, deleteBatch)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// autocommit runs one statement outside a transaction. It retries conflicts, which occur if default_transaction_isolation is
// serializable.
func (b Buckets) autocommit(ctx context.Context, operation string, run func(*postgresdb.Queries) error) error {
	return b.store.retry(ctx, func(*retryState) (cause, err error) {
		conn, err := b.store.acquire(ctx)
		if err != nil {
			return err, err
		}
		defer conn.Release()
		if err := run(postgresdb.New(conn)); err != nil {
			cause = classify(ctx, conn.Conn(), err)
		}
		return cause, wrap(operation, cause)
	})
}
