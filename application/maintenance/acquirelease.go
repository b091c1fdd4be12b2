package maintenance

import (
	"context"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// AcquireLease decides which node does what one of them does for all.
type AcquireLease struct {
	Store ports.Store
	Clock ports.Clock
}

// Execute returns true for one of all nodes that ask within the interval. Should that one fail or die, the duty falls to
// whoever asks after it.
func (d *AcquireLease) Execute(ctx context.Context, duty domain.Lease, interval time.Duration) (mine bool, err error) {
	now := d.Clock.Now()
	err = d.Store.Update(ctx, func(tx ports.Tx) (err error) {
		mine, err = tx.Leases.Acquire(ctx, duty, now, now.Add(interval))
		return err
	})
	return mine, err
}
