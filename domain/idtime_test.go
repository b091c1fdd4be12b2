package domain_test

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
)

func TestID_Time(t *testing.T) {
	at := time.Date(2026, 11, 23, 12, 34, 56, 789_654_321, time.UTC)
	if got := domain.NewOutboxEmailID(at, rand.Reader).Time(); !got.Equal(at.Truncate(time.Millisecond)) || got.Location() != time.UTC {
		t.Errorf("got %v", got)
	}
}
