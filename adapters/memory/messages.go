package memory

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/keylodge/keylodge/domain"
)

type messages struct{ state }

func (m messages) Add(_ context.Context, message *domain.OutboxEmail) error {
	if err := m.writable(); err != nil {
		return err
	}
	s := message.State()
	if _, found := m.messages[s.ID]; found {
		return fmt.Errorf("there is a message %s already", s.ID)
	}
	if _, found := m.users[s.UserID]; !found && !s.UserID.IsZero() {
		return fmt.Errorf("the message's user %s is not there", s.UserID)
	}
	m.messages[s.ID] = s
	return nil
}

func (m messages) ListDue(_ context.Context, now time.Time, limit int) ([]*domain.OutboxEmail, error) {
	due := []*domain.OutboxEmail{}
	longestFirst := func(a, b domain.OutboxEmailState) int {
		return cmp.Or(a.DueAt.Compare(b.DueAt), compareIDs(a.ID, b.ID))
	}
	for _, s := range slices.SortedFunc(maps.Values(m.messages), longestFirst) {
		if len(due) < limit && !s.DueAt.After(now) {
			due = append(due, domain.RestoreOutboxEmail(s))
		}
	}
	return due, nil
}

func (m messages) List(_ context.Context, after domain.OutboxEmailID, limit int) ([]*domain.OutboxEmail, error) {
	list := []*domain.OutboxEmail{}
	byID := func(a, b domain.OutboxEmailState) int { return compareIDs(a.ID, b.ID) }
	for _, s := range slices.SortedFunc(maps.Values(m.messages), byID) {
		if len(list) < limit && compareIDs(s.ID, after) > 0 {
			list = append(list, domain.RestoreOutboxEmail(s))
		}
	}
	return list, nil
}

func (m messages) Save(_ context.Context, message *domain.OutboxEmail) error {
	if err := m.writable(); err != nil {
		return err
	}
	s := message.State()
	if _, found := m.messages[s.ID]; found {
		m.messages[s.ID] = s
	}
	return nil
}

func (m messages) Remove(_ context.Context, id domain.OutboxEmailID) error {
	if err := m.writable(); err != nil {
		return err
	}
	delete(m.messages, id)
	return nil
}

func (m messages) DeleteExpired(_ context.Context, expired time.Time, limit int) (int, error) {
	if err := m.writable(); err != nil {
		return 0, err
	}
	return sweep(m.messages, func(s domain.OutboxEmailState) time.Time { return s.ExpiresAt }, expired, limit), nil
}
