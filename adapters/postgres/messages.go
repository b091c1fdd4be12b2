package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/keylodge/keylodge/db/postgresdb"
	"github.com/keylodge/keylodge/domain"
)

type messages struct{ queries *postgresdb.Queries }

func (m messages) Add(ctx context.Context, message *domain.Message) error {
	s := message.Snapshot()
	err := m.queries.AddMessage(ctx, postgresdb.AddMessageParams{
		ID:          s.ID.String(),
		UserID:      optionalID(s.UserID),
		Recipient:   string(s.To),
		Kind:        string(s.Kind),
		HappenedAt:  optionalTimestamp(s.About.At),
		Party:       optionalText(s.About.By),
		PasskeyName: optionalText(s.About.PasskeyName),
		DeviceName:  optionalText(s.About.DeviceName),
		IP:          optionalText(s.About.IP),
		Code:        s.Code,
		Attempts:    int64(s.Attempts),
		DueAt:       s.DueAt,
		ExpiresAt:   s.ExpiresAt,
	})
	if err != nil {
		return fault("adding a message", err)
	}
	return nil
}

func (m messages) Due(ctx context.Context, now time.Time, limit int) ([]*domain.Message, error) {
	rows, err := m.queries.DueMessages(ctx, postgresdb.DueMessagesParams{Now: now, UpTo: int64(limit)})
	if err != nil {
		return nil, fault("listing due messages", err)
	}
	return restoreAll(rows, messageOf)
}

func (m messages) List(ctx context.Context, after domain.MessageID, limit int) ([]*domain.Message, error) {
	rows, err := m.queries.MessagesAfter(ctx, postgresdb.MessagesAfterParams{After: after.String(), UpTo: int64(limit)})
	if err != nil {
		return nil, fault("listing messages", err)
	}
	return restoreAll(rows, messageOf)
}

func (m messages) Save(ctx context.Context, message *domain.Message) error {
	s := message.Snapshot()
	err := m.queries.SaveMessage(ctx, postgresdb.SaveMessageParams{
		Attempts: int64(s.Attempts),
		DueAt:    s.DueAt,
		ID:       s.ID.String(),
	})
	if err != nil {
		return fault("saving a message", err)
	}
	return nil
}

func (m messages) Remove(ctx context.Context, id domain.MessageID) error {
	if err := m.queries.RemoveMessage(ctx, id.String()); err != nil {
		return fault("removing a message", err)
	}
	return nil
}

func (m messages) Sweep(ctx context.Context, expired time.Time, limit int) (int, error) {
	swept, err := m.queries.SweepMessages(ctx, postgresdb.SweepMessagesParams{Expired: expired, UpTo: int64(limit)})
	if err != nil {
		return 0, fault("sweeping messages", err)
	}
	return int(swept), nil
}

func messageOf(row postgresdb.Message) (*domain.Message, error) {
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
