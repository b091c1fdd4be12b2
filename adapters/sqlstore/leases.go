package sqlstore

import (
	"context"
	"time"

	"github.com/keylodge/keylodge/db/column"
	"github.com/keylodge/keylodge/db/sqlitedb"
	"github.com/keylodge/keylodge/domain"
)

type leases struct{ collection }

func (l leases) Acquire(ctx context.Context, lease domain.Lease, now, next time.Time) (bool, error) {
	acquired, err := l.q.RenewLease(ctx, sqlitedb.RenewLeaseParams{
		Next: column.Time{Time: next}, Name: string(lease), Now: column.Time{Time: now},
	})
	if err == nil && acquired == 0 {
		acquired, err = l.q.AddLease(ctx, string(lease), column.Time{Time: next})
	}
	return acquired > 0, l.wrap("acquiring a lease", err)
}
