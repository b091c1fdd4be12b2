package sqlite

import (
	"context"
	"time"

	"github.com/keylodge/keylodge/db/sqlitedb"
	"github.com/keylodge/keylodge/domain"
)

type leases struct{ queries *sqlitedb.Queries }

func (d leases) Acquire(ctx context.Context, duty domain.Lease, now, next time.Time) (bool, error) {
	ctx = context.WithoutCancel(ctx)
	taken, err := d.queries.PutOffDuty(ctx, sqlitedb.PutOffDutyParams{Name: string(duty), Next: micros(next), Now: micros(now)})
	if err == nil && taken == 0 {
		taken, err = d.queries.AddDuty(ctx, sqlitedb.AddDutyParams{Name: string(duty), DueAt: micros(next)})
	}
	if err != nil {
		return false, wrap("taking a duty", err)
	}
	return taken > 0, nil
}
