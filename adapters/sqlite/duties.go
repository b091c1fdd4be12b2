package sqlite

import (
	"context"
	"time"

	"github.com/keylodge/keylodge/db/sqlitedb"
	"github.com/keylodge/keylodge/domain"
)

type duties struct{ queries *sqlitedb.Queries }

func (d duties) Take(ctx context.Context, duty domain.Duty, now, next time.Time) (bool, error) {
	taken, err := d.queries.TakeDuty(context.WithoutCancel(ctx), sqlitedb.TakeDutyParams{
		Name: string(duty), Next: micros(next), Now: micros(now),
	})
	if err != nil {
		return false, fault("taking a duty", err)
	}
	return taken > 0, nil
}
