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
func (b Buckets) Take(ctx context.Context, from ...domain.Bucket) ([]domain.Level, error) {
	var asked postgresdb.TakeTokensParams
	levels := make([]domain.Level, len(from))
	for i, bucket := range from {
		asked.Subjects = append(asked.Subjects, bucket.Subject[:])
		asked.Paces = append(asked.Paces, bucket.Limit.Interval().Microseconds())
		asked.Fillings = append(asked.Fillings, bucket.Limit.Filling().Microseconds())
		// Of a bucket that somebody else has just made and emptied nothing comes back.
		levels[i] = bucket.Limit.Level(bucket.Limit.Filling(), false)
	}
	err := b.alone(ctx, "counting a call", func(queries *postgresdb.Queries) error {
		rows, err := queries.TakeTokens(ctx, asked)
		for _, row := range rows {
			for i, bucket := range from {
				if string(row.Subject) == string(bucket.Subject[:]) {
					levels[i] = bucket.Limit.Level(time.Duration(row.FullIn)*time.Microsecond, row.Taken)
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

// sweepBatch is small enough that a sweep never keeps a call waiting.
const sweepBatch = 1000

// Sweep implements ports.Buckets.
func (b Buckets) Sweep(ctx context.Context) error {
	for swept := int64(sweepBatch); swept == sweepBatch; {
		err := b.alone(ctx, "sweeping counts", func(queries *postgresdb.Queries) (err error) {
			swept, err = queries.SweepBuckets(ctx, sweepBatch)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// alone runs one statement outside of any unit of work. On a database that is serializable throughout it may meet another.
func (b Buckets) alone(ctx context.Context, doing string, run func(*postgresdb.Queries) error) error {
	var tries tries
	for {
		conn, err := b.store.acquire(ctx)
		if err != nil {
			return err
		}
		if err = run(postgresdb.New(conn)); err == nil {
			conn.Release()
			return nil
		}
		err = met(ctx, conn.Conn(), err)
		conn.Release()
		b.store.leaveIfMoved(err)
		if !tries.again(ctx, err) {
			return b.store.advised(fault(doing, err))
		}
		if err := tries.pause(ctx); err != nil {
			return err
		}
	}
}
