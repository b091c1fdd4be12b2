package domain_test

import (
	"slices"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
)

// Requirement: ASVS-7.4.3
func TestSessionLimit_Excess(t *testing.T) {
	var active []*domain.Session
	for _, seen := range []int{3, 1, 4, 2} { // hours after noon
		s, _ := session(t, synced)
		s.Touch(lifetime, noon.Add(time.Duration(seen)*time.Hour))
		active = append(active, s)
	}
	for limit, want := range map[domain.SessionLimit][]*domain.Session{
		0: nil, -1: nil, 100: nil, 5: nil,
		4: {active[1]},
		3: {active[1], active[3]},
		1: {active[1], active[3], active[0], active[2]},
	} {
		if got := limit.Excess(slices.Clone(active)); !slices.Equal(got, want) {
			t.Errorf("limit %d: %d excess sessions, want %d", limit, len(got), len(want))
		}
	}
	if got := domain.SessionLimit(1).Excess(nil); got != nil {
		t.Errorf("without sessions: %v", got)
	}
}

func TestSessionLimit_Near(t *testing.T) {
	for _, c := range []struct {
		limit   domain.SessionLimit
		sampled int
		want    bool
	}{
		{0, 0, false}, {0, 1000, false}, {1, 0, true}, {31, 0, true}, {32, 15, false}, {32, 16, true}, {100, 49, false}, {100, 50, true},
	} {
		if got := c.limit.Near(c.sampled); got != c.want {
			t.Errorf("limit %d, %d sampled: %t", c.limit, c.sampled, got)
		}
	}
}
