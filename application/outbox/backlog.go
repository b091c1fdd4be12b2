package outbox

import (
	"context"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Backlog describes the e-mails that wait to be sent.
type Backlog struct {
	Waiting     int
	OldestSince time.Time // when the oldest of them was queued; zero if none waits
}

// Backlog returns the present backlog.
func (s *Service) Backlog(ctx context.Context) (backlog Backlog, err error) {
	if !s.Policy.Enabled() {
		return backlog, nil
	}
	err = s.Store.View(ctx, func(tx ports.Tx) error {
		backlog = Backlog{}
		if backlog.Waiting, err = tx.OutboxEmails.Count(ctx); err != nil || backlog.Waiting == 0 {
			return err
		}
		oldest, err := tx.OutboxEmails.List(ctx, domain.OutboxEmailID{}, 1)
		if len(oldest) > 0 {
			backlog.OldestSince = oldest[0].ID().Time()
		}
		return err
	})
	return backlog, err
}
