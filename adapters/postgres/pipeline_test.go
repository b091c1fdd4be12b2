package postgres

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"

	"github.com/keylodge/keylodge/acceptance/testkit/postgresserver"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// countingConn counts the messages to the server; each begins a round trip.
type countingConn struct {
	net.Conn
	sent *atomic.Int64
}

func (c countingConn) Write(b []byte) (int, error) {
	c.sent.Add(1)
	return c.Conn.Write(b)
}

func TestStore_RoundTrips(t *testing.T) {
	config, err := parse(postgresserver.MigratedDatabase(t, migrateDatabase) + "&pool_max_conns=1")
	if err != nil {
		t.Fatal(err)
	}
	var sent atomic.Int64
	dial := config.ConnConfig.DialFunc
	config.ConnConfig.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		return countingConn{conn, &sent}, err
	}
	s, err := open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	next := 1
	addOne := func(tx ports.Tx) error {
		next++
		return tx.Challenges.Add(t.Context(), numbered(next))
	}
	for i := range 3 {
		add(t, s, -i)
	}
	consumed := 0
	consume := func(tx ports.Tx) error {
		consumed--
		return tx.Challenges.Consume(t.Context(), numberedID(consumed))
	}
	for name, c := range map[string]struct {
		run  func() error
		want int64
	}{
		"View with one read": {func() error { return s.View(t.Context(), readChallenge) }, 2}, // the second is ROLLBACK
		"View without a snapshot, one read": {func() error {
			return s.View(ports.WithoutSnapshot(t.Context()), readChallenge)
		}, 1},
		"Update without statements": {func() error { return s.Update(t.Context(), func(ports.Tx) error { return nil }) }, 1},
		"Update that adds":          {func() error { return s.Update(t.Context(), addOne) }, 1},
		"Update that adds, reads and adds": {func() error {
			return s.Update(t.Context(), func(tx ports.Tx) error { return errors.Join(addOne(tx), readChallenge(tx), addOne(tx)) })
		}, 2},
		"Update that consumes, reads and adds": {func() error {
			return s.Update(t.Context(), func(tx ports.Tx) error { return errors.Join(consume(tx), readChallenge(tx), addOne(tx)) })
		}, 2},
	} {
		if err := c.run(); err != nil { // prepares the statements
			t.Fatal(err)
		}
		before := sent.Load()
		if err := c.run(); err != nil {
			t.Fatal(err)
		}
		if trips := sent.Load() - before; trips != c.want {
			t.Errorf("%s: %d round trips, want %d", name, trips, c.want)
		}
	}
}

// The failed statement is sent together with one before it, one after it, and COMMIT.
func TestUpdate_FailureOfQueuedStatementRollsBack(t *testing.T) {
	s := openNew(t)
	add(t, s, 0)
	err := s.Update(t.Context(), func(tx ports.Tx) error {
		return errors.Join(tx.Challenges.Add(t.Context(), numbered(1)), tx.Challenges.Add(t.Context(), numbered(0)), tx.Challenges.Add(t.Context(), numbered(2)))
	})
	if stateOf(err) != uniqueViolation || errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("got %v, want SQLSTATE %s, and no outage", err, uniqueViolation)
	}
	wantChallenges(t, s, 1)
}

func TestUpdate_StatementAfterItsEndFails(t *testing.T) {
	s := openNew(t)
	var kept ports.Tx
	if err := s.Update(t.Context(), func(tx ports.Tx) error { kept = tx; return nil }); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(kept.Challenges.Add(t.Context(), numbered(0)), readChallenge(kept)); err == nil {
		t.Error("statements of an Update succeeded after its end")
	}
	wantChallenges(t, s, 0)
}
