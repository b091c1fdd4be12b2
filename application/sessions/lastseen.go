package sessions

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// LastSeen writes down when sessions were last used, and from where, after their callers have been answered: a read stays a
// read, and a busy session costs one write a minute. What was noted in the last moment before a crash is lost, which ends
// an idle session that much earlier and does no other harm.
type LastSeen struct {
	store    ports.Store
	clock    ports.Clock
	lifetime domain.SessionLifetime

	writing sync.Mutex // held by Execute
	mu      sync.Mutex
	pending map[domain.SessionID]use
}

type use struct {
	ip string
	at time.Time
}

// maxPending bounds the memory of what could not be written yet. Beyond it nothing is noted.
const maxPending = 100_000

// NewLastSeen returns one that has seen nobody.
func NewLastSeen(store ports.Store, clock ports.Clock, lifetime domain.SessionLifetime) *LastSeen {
	return &LastSeen{store: store, clock: clock, lifetime: lifetime, pending: map[domain.SessionID]use{}}
}

// Record remembers a use until the next Execute. It neither blocks nor fails.
func (l *LastSeen) Record(id domain.SessionID, ip string, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, known := l.pending[id]; known || len(l.pending) < maxPending {
		l.pending[id] = use{ip, at}
	}
}

// Execute writes what was recorded and returns for how many sessions. What could not be written stays recorded. Concurrent
// calls wait for each other, so that all that was recorded before a call is written when it returns.
func (l *LastSeen) Execute(ctx context.Context) (int, error) {
	l.writing.Lock()
	defer l.writing.Unlock()
	const batch = 256 // so that a sign-in does not wait long behind it
	written := 0
	for {
		some := l.take(batch)
		if len(some) == 0 {
			return written, nil
		}
		err := l.store.Update(ctx, func(tx ports.Tx) error { return l.write(ctx, tx, some) })
		if err != nil {
			l.requeue(some)
			return written, err
		}
		written += len(some)
	}
}

func (l *LastSeen) write(ctx context.Context, tx ports.Tx, some map[domain.SessionID]use) error {
	now := l.clock.Now()
	for id, seen := range some {
		session, err := tx.Sessions.ByID(ctx, id)
		if errors.Is(err, domain.ErrSessionNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		// Judged by the present time too: what has ended since it was used must not come back to life.
		if !session.Active(seen.at) || !session.Active(now) || session.RecentlySeen(seen.at) {
			continue
		}
		session.Touch(l.lifetime, seen.at)
		session.RecordIP(seen.ip)
		if err := tx.Sessions.Save(ctx, session); err != nil {
			return err
		}
	}
	return nil
}

func (l *LastSeen) take(most int) map[domain.SessionID]use {
	l.mu.Lock()
	defer l.mu.Unlock()
	some := make(map[domain.SessionID]use, min(most, len(l.pending)))
	for id, seen := range l.pending {
		if len(some) == most {
			break
		}
		some[id] = seen
		delete(l.pending, id)
	}
	return some
}

func (l *LastSeen) requeue(some map[domain.SessionID]use) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, seen := range some {
		if _, newer := l.pending[id]; !newer {
			l.pending[id] = seen
		}
	}
}
