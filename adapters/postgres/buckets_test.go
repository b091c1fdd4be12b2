package postgres

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/postgresserver"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports/bucketstest"
)

func TestBucketsContract(t *testing.T) {
	bucketstest.Run(t, func(t *testing.T) bucketstest.Pair {
		url := postgresserver.MigratedDatabase(t, migrateDatabase)
		return bucketstest.Pair{First: openAt(t, url).Buckets(), Second: openAt(t, url).Buckets(), Wait: time.Sleep}
	})
}

// With default_transaction_isolation=serializable, as on CockroachDB, concurrent calls conflict.
func TestBucketsContract_Serializable(t *testing.T) {
	bucketstest.Run(t, func(t *testing.T) bucketstest.Pair {
		url := postgresserver.MigratedDatabase(t, migrateDatabase) + "&default_transaction_isolation=serializable"
		return bucketstest.Pair{First: openAt(t, url).Buckets(), Second: openAt(t, url).Buckets(), Wait: time.Sleep}
	})
}

// A bucket that was emptied under a limit of days refills by the new limit of hours.
func TestBuckets_FollowChangedLimit(t *testing.T) {
	b := openNew(t).Buckets()
	day, hour := domain.RateLimit{Quota: 1, Window: 24 * time.Hour}, domain.RateLimit{Quota: 1, Window: time.Hour}
	for _, step := range []struct {
		limit domain.RateLimit
		taken bool
	}{{day, true}, {day, false}, {hour, true}, {hour, false}} {
		states, err := b.Take(t.Context(), domain.Bucket{Subject: domain.RateSubject{1}, Limit: step.limit})
		if err != nil || states[0].Allowed != step.taken {
			t.Fatalf("%+v: %+v, %v", step, states, err)
		}
		if step.limit == hour && step.taken == false && states[0].NextTokenIn > time.Hour {
			t.Errorf("the next token comes in %s", states[0].NextTokenIn)
		}
	}
}

func TestBucketsDelete_RemovesFullBuckets(t *testing.T) {
	url := postgresserver.MigratedDatabase(t, migrateDatabase)
	b := openAt(t, url).Buckets()
	db := connect(t, url)
	many := fmt.Sprintf("INSERT INTO rate_buckets SELECT decode(lpad(to_hex(n), 32, '0'), 'hex'), 1, 1, now() - interval '1 second' FROM generate_series(1, %d) AS n", 3*deleteBatch/2)
	if err := exec(t.Context(), db, many); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Take(t.Context(), domain.Bucket{Subject: domain.RateSubject{0xff}, Limit: domain.RateLimit{Quota: 1, Window: time.Hour}}); err != nil {
		t.Fatal(err)
	}
	if err := b.DeleteExpired(t.Context()); err != nil {
		t.Fatal(err)
	}
	if rows := queryColumn(t, db, "SELECT substr(encode(subject, 'hex'), 1, 2) FROM rate_buckets"); len(rows) != 1 || rows[0] != "ff" {
		t.Errorf("remaining buckets: %v", rows)
	}
}

func TestBuckets_UnavailableAfterClose(t *testing.T) {
	s, err := Open(t.Context(), postgresserver.MigratedDatabase(t, migrateDatabase))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = s.Buckets().Take(t.Context(), domain.Bucket{Limit: domain.RateLimit{Quota: 1, Window: time.Second}})
	if !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

func BenchmarkTakeTokens(b *testing.B) {
	buckets := openNew(b).Buckets()
	limit := domain.RateLimit{Quota: 1_000_000, Window: time.Second}
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			if _, err := buckets.Take(context.Background(), domain.Bucket{Limit: limit}, domain.Bucket{Subject: domain.RateSubject{1}, Limit: limit}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// A full bucket that a concurrent transaction takes a token from is not deleted.
func TestBucketsDelete_KeepsConcurrentlyTaken(t *testing.T) {
	url := postgresserver.MigratedDatabase(t, migrateDatabase)
	b, taker, watcher := openAt(t, url).Buckets(), connect(t, url), connect(t, url)
	for _, statement := range []string{
		"INSERT INTO rate_buckets VALUES (decode(repeat('00', 16), 'hex'), 1, 1, now() - interval '1 second')",
		"BEGIN", "UPDATE rate_buckets SET full_at = now() + interval '1 hour'",
	} {
		if err := exec(t.Context(), taker, statement); err != nil {
			t.Fatal(err)
		}
	}
	deleted := make(chan error, 1)
	go func() { deleted <- b.DeleteExpired(context.Background()) }()
	awaitLock(t, watcher)
	if err := exec(t.Context(), taker, "COMMIT"); err != nil {
		t.Fatal(err)
	}
	if err := <-deleted; err != nil {
		t.Fatal(err)
	}
	if rows := queryColumn(t, watcher, "SELECT full_at::text FROM rate_buckets"); len(rows) != 1 {
		t.Errorf("remaining buckets: %v", rows)
	}
}
