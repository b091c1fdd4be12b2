package memory

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/keylodge/keylodge/domain"
)

type lockouts struct{ state }

func (l lockouts) Get(_ context.Context, subject domain.LockoutSubject) (*domain.Lockout, error) {
	s, found := l.lockouts[subject]
	if !found {
		return domain.NewLockout(subject), nil
	}
	return domain.RestoreLockout(s), nil
}

func (l lockouts) List(_ context.Context, after domain.LockoutSubject, limit int) ([]*domain.Lockout, error) {
	list := []*domain.Lockout{}
	compare := func(a, b domain.LockoutSubject) int { return bytes.Compare(a[:], b[:]) }
	for _, subject := range slices.SortedFunc(maps.Keys(l.lockouts), compare) {
		if len(list) < limit && compare(subject, after) > 0 {
			list = append(list, domain.RestoreLockout(l.lockouts[subject]))
		}
	}
	return list, nil
}

func (l lockouts) Save(_ context.Context, lockout *domain.Lockout) error {
	if err := l.writable(); err != nil {
		return err
	}
	s := lockout.State()
	l.lockouts[s.Subject] = s
	return nil
}

func (l lockouts) Clear(_ context.Context, subject domain.LockoutSubject) error {
	if err := l.writable(); err != nil {
		return err
	}
	delete(l.lockouts, subject)
	return nil
}

func (l lockouts) DeleteExpired(_ context.Context, before time.Time, limit int) (int, error) {
	if err := l.writable(); err != nil {
		return 0, err
	}
	return sweep(l.lockouts, func(s domain.LockoutState) time.Time { return s.UpdatedAt }, before, limit), nil
}
