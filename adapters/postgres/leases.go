package postgres

import (
	"context"
	"time"

	"github.com/keylodge/keylodge/db/postgresdb"
	"github.com/keylodge/keylodge/domain"
)

type leases struct{ queries *postgresdb.Queries }

func (d leases) Acquire(ctx context.Context, duty domain.Lease, now, next time.Time) (bool, error) {
	taken, err := d.queries.TakeDuty(ctx, postgresdb.TakeDutyParams{
		Name: string(duty), Next: next, Now: now,
	})
	if err != nil {
		return false, wrap("taking a duty", err)
	}
	return taken > 0, nil
}
