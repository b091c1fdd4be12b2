package maintenance

import (
	"context"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// AcquireLease reports whether this node acquired the lease for the interval. At most one node acquires it. If that node fails, another
// node acquires the lease after it expires.
func (s *Service) AcquireLease(ctx context.Context, lease domain.Lease, interval time.Duration) (acquired bool, err error) {
	now := s.Clock.Now()
	err = s.Store.Update(ctx, func(tx ports.Tx) (err error) {
		acquired, err = tx.Leases.Acquire(ctx, lease, now, now.Add(interval))
		return err
	})
	return acquired, err
}
