package postgres

import (
	"context"
	"time"

	"github.com/keylodge/keylodge/db/postgresdb"
	"github.com/keylodge/keylodge/domain"
)

type duties struct{ queries *postgresdb.Queries }

func (d duties) Take(ctx context.Context, duty domain.Duty, now, next time.Time) (bool, error) {
	taken, err := d.queries.TakeDuty(ctx, postgresdb.TakeDutyParams{
		Name: string(duty), Next: next, Now: now,
	})
	if err != nil {
		return false, fault("taking a duty", err)
	}
	return taken > 0, nil
}
