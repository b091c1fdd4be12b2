package memory

import (
	"context"
	"time"

	"github.com/keylodge/keylodge/domain"
)

type duties struct{ state }

func (d duties) Acquire(_ context.Context, duty domain.Lease, now, next time.Time) (bool, error) {
	if err := d.writable(); err != nil {
		return false, err
	}
	if due, found := d.duties[duty]; found && due.After(now) {
		return false, nil
	}
	d.duties[duty] = next
	return true, nil
}
