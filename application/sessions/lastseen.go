package sessions

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// pendingUses holds the uses of sessions that WriteLastSeen has not stored yet. Storing them after the response keeps a read
// request free of writes and limits a busy session to one write a minute. A crash loses the uses of the last moment, which only
// makes idle sessions expire that much earlier.
type pendingUses struct {
	writing sync.Mutex // held by WriteLastSeen

	mu        sync.Mutex
	bySession map[domain.SessionID]use
}

type use struct {
	ip string
	at time.Time
}

// maxPending bounds the memory of pendingUses. Beyond it, uses of further sessions are dropped.
const maxPending = 100_000

// RecordUse records a use of a session until WriteLastSeen stores it. It neither blocks nor fails.
func (s *Service) RecordUse(id domain.SessionID, ip string, at time.Time) {
	s.uses.add(id, use{ip, at})
}

// WriteLastSeen stores the recorded uses and returns the number of sessions. It keeps uses that it failed to store. Concurrent
// calls wait for each other: when a call returns, every use recorded before it is stored.
func (s *Service) WriteLastSeen(ctx context.Context) (int, error) {
	s.uses.writing.Lock()
	defer s.uses.writing.Unlock()
	const batch = 256 // bounds how long a sign-in waits for the transaction
	written := 0
	for {
		taken := s.uses.take(batch)
		if len(taken) == 0 {
			return written, nil
		}
		err := s.Store.Update(ctx, func(tx ports.Tx) error { return s.writeUses(ctx, tx, taken) })
		if err != nil {
			s.uses.requeue(taken)
			return written, err
		}
		written += len(taken)
	}
}

func (s *Service) writeUses(ctx context.Context, tx ports.Tx, uses map[domain.SessionID]use) error {
	now := s.Clock.Now()
	for id, u := range uses {
		session, err := tx.Sessions.ByID(ctx, id)
		if errors.Is(err, domain.ErrSessionNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		// A session that ended after its use must not become active again.
		if !session.Active(u.at) || !session.Active(now) || session.RecentlySeen(u.at) {
			continue
		}
		session.Touch(s.Lifetime, u.at)
		session.RecordIP(u.ip)
		if err := tx.Sessions.Save(ctx, session); err != nil {
			return err
		}
	}
	return nil
}

func (p *pendingUses) add(id domain.SessionID, u use) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bySession == nil {
		p.bySession = map[domain.SessionID]use{}
	}
	if _, known := p.bySession[id]; known || len(p.bySession) < maxPending {
		p.bySession[id] = u
	}
}

func (p *pendingUses) take(limit int) map[domain.SessionID]use {
	p.mu.Lock()
	defer p.mu.Unlock()
	taken := make(map[domain.SessionID]use, min(limit, len(p.bySession)))
	for id, u := range p.bySession {
		if len(taken) == limit {
			break
		}
		taken[id] = u
		delete(p.bySession, id)
	}
	return taken
}

// requeue puts uses back, except those of sessions that were used again meanwhile.
func (p *pendingUses) requeue(uses map[domain.SessionID]use) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, u := range uses {
		if _, newer := p.bySession[id]; !newer {
			p.bySession[id] = u
		}
	}
}
