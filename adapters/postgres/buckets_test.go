package postgres

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/postgresserver"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports/bucketstest"
)

func TestBucketsContract(t *testing.T) {
	bucketstest.Run(t, func(t *testing.T) bucketstest.Shared {
		url := postgresserver.Migrated(t, migrated)
		return bucketstest.Shared{Here: openAt(t, url).Buckets(), There: openAt(t, url).Buckets(), Wait: time.Sleep}
	})
}

// On a database whose every transaction is serializable, as CockroachDB's are, takers meet each other.
func TestBucketsContractWhereAllIsSerializable(t *testing.T) {
	bucketstest.Run(t, func(t *testing.T) bucketstest.Shared {
		url := postgresserver.Migrated(t, migrated) + "&default_transaction_isolation=serializable"
		return bucketstest.Shared{Here: openAt(t, url).Buckets(), There: openAt(t, url).Buckets(), Wait: time.Sleep}
	})
}

// What was counted under a limit of hours is soon forgotten where the limit is one of seconds now.
func TestABucketFollowsItsLimit(t *testing.T) {
	b := openNew(t).Buckets()
	subject := domain.RateSubject{1}
	for _, limit := range []domain.RateLimit{{Quota: 1, Window: 24 * time.Hour}, {Quota: 1, Window: time.Hour}} {
		if _, err := b.Take(t.Context(), domain.Bucket{Subject: subject, Limit: limit}); err != nil {
			t.Fatal(err)
		}
	}
	levels, err := b.Take(t.Context(), domain.Bucket{Subject: subject, Limit: domain.RateLimit{Quota: 1, Window: time.Hour}})
	if err != nil || levels[0].Taken || levels[0].Next > time.Hour {
		t.Errorf("got %+v, %v", levels, err)
	}
}

func TestBucketsOfAClosedStoreAreOutOfReach(t *testing.T) {
	s, err := Open(t.Context(), postgresserver.Migrated(t, migrated))
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
