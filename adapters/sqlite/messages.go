package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/keylodge/keylodge/db/sqlitedb"
	"github.com/keylodge/keylodge/domain"
)

type messages struct {
	queries *sqlitedb.Queries
	removed *bool // set when one goes that has outlived its user: it told who that was
}

func (m messages) Add(ctx context.Context, message *domain.Message) error {
	s := message.Snapshot()
	err := m.queries.AddMessage(context.WithoutCancel(ctx), sqlitedb.AddMessageParams{
		ID:          s.ID.String(),
		UserID:      optionalID(s.UserID),
		Recipient:   string(s.To),
		Kind:        string(s.Kind),
		HappenedAt:  optionalMicros(s.About.At),
		Party:       optionalText(s.About.By),
		PasskeyName: optionalText(s.About.PasskeyName),
		DeviceName:  optionalText(s.About.DeviceName),
		IP:          optionalText(s.About.IP),
		Code:        s.Code,
		Attempts:    int64(s.Attempts),
		DueAt:       micros(s.DueAt),
		ExpiresAt:   micros(s.ExpiresAt),
	})
	if err != nil {
		return fault("adding a message", err)
	}
	return nil
}

func (m messages) Due(ctx context.Context, now time.Time, limit int) ([]*domain.Message, error) {
	rows, err := m.queries.DueMessages(context.WithoutCancel(ctx), sqlitedb.DueMessagesParams{Now: micros(now), UpTo: int64(limit)})
	if err != nil {
		return nil, fault("listing due messages", err)
	}
	return restoreAll(rows, messageOf)
}

func (m messages) Save(ctx context.Context, message *domain.Message) error {
	s := message.Snapshot()
	err := m.queries.SaveMessage(context.WithoutCancel(ctx), sqlitedb.SaveMessageParams{
		Attempts: int64(s.Attempts),
		DueAt:    micros(s.DueAt),
		ID:       s.ID.String(),
	})
	if err != nil {
		return fault("saving a message", err)
	}
	return nil
}

func (m messages) Remove(ctx context.Context, id domain.MessageID) error {
	owner, err := m.queries.RemoveMessage(context.WithoutCancel(ctx), id.String())
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fault("removing a message", err)
	}
	m.forget(owner)
	return nil
}

func (m messages) Sweep(ctx context.Context, expired time.Time, limit int) (int, error) {
	owners, err := m.queries.SweepMessages(context.WithoutCancel(ctx), sqlitedb.SweepMessagesParams{
		Expired: micros(expired), UpTo: int64(limit),
	})
	if err != nil {
		return 0, fault("sweeping messages", err)
	}
	m.forget(owners...)
	return len(owners), nil
}

// forget has what was deleted forgotten if there was a message among it that belonged to nobody.
func (m messages) forget(owners ...*string) {
	if slices.Contains(owners, nil) {
		*m.removed = true
	}
}

func messageOf(row sqlitedb.Message) (*domain.Message, error) {
	id, err := domain.ParseMessageID(row.ID)
	if err != nil {
		return nil, fmt.Errorf("reading a message: %w", err)
	}
	userID, err := optionalIDOf(row.UserID, domain.ParseUserID)
	if err != nil {
		return nil, fmt.Errorf("reading a message's user: %w", err)
	}
	return domain.RestoreMessage(domain.MessageSnapshot{
		ID:     id,
		UserID: userID,
		To:     domain.Email(row.Recipient),
		Kind:   domain.MessageKind(row.Kind),
		About: domain.MessageFacts{
			At:          optionalTime(row.HappenedAt),
			By:          domain.Party(textOf(row.Party)),
			PasskeyName: domain.PasskeyName(textOf(row.PasskeyName)),
			DeviceName:  textOf(row.DeviceName),
			IP:          textOf(row.IP),
		},
		Code:      row.Code,
		Attempts:  int(row.Attempts),
		DueAt:     timeOf(row.DueAt),
		ExpiresAt: timeOf(row.ExpiresAt),
	}), nil
}
