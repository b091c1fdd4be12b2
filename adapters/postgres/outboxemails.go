package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/keylodge/keylodge/db/postgresdb"
	"github.com/keylodge/keylodge/domain"
)

type outboxEmails struct{ queries *postgresdb.Queries }

func (m outboxEmails) Add(ctx context.Context, message *domain.OutboxEmail) error {
	s := message.State()
	err := m.queries.AddMessage(ctx, postgresdb.AddMessageParams{
		ID:          s.ID.String(),
		UserID:      optionalID(s.UserID),
		Recipient:   string(s.To),
		Kind:        string(s.Kind),
		HappenedAt:  optionalTimestamp(s.Details.At),
		Party:       optionalText(s.Details.Actor),
		PasskeyName: optionalText(s.Details.PasskeyName),
		DeviceName:  optionalText(s.Details.DeviceName),
		IP:          optionalText(s.Details.IP),
		Code:        s.Code,
		Attempts:    int64(s.Attempts),
		DueAt:       s.DueAt,
		ExpiresAt:   s.ExpiresAt,
	})
	if err != nil {
		return wrap("adding a message", err)
	}
	return nil
}

func (m outboxEmails) ListDue(ctx context.Context, now time.Time, limit int) ([]*domain.OutboxEmail, error) {
	rows, err := m.queries.DueMessages(ctx, postgresdb.DueMessagesParams{Now: now, UpTo: int64(limit)})
	if err != nil {
		return nil, wrap("listing due messages", err)
	}
	return restoreAll(rows, outboxEmailOf)
}

func (m outboxEmails) List(ctx context.Context, after domain.OutboxEmailID, limit int) ([]*domain.OutboxEmail, error) {
	rows, err := m.queries.MessagesAfter(ctx, postgresdb.MessagesAfterParams{After: after.String(), UpTo: int64(limit)})
	if err != nil {
		return nil, wrap("listing messages", err)
	}
	return restoreAll(rows, outboxEmailOf)
}

func (m outboxEmails) Save(ctx context.Context, message *domain.OutboxEmail) error {
	s := message.State()
	err := m.queries.SaveMessage(ctx, postgresdb.SaveMessageParams{
		Attempts: int64(s.Attempts),
		DueAt:    s.DueAt,
		ID:       s.ID.String(),
	})
	if err != nil {
		return wrap("saving a message", err)
	}
	return nil
}

func (m outboxEmails) Remove(ctx context.Context, id domain.OutboxEmailID) error {
	if err := m.queries.RemoveMessage(ctx, id.String()); err != nil {
		return wrap("removing a message", err)
	}
	return nil
}

func (m outboxEmails) DeleteExpired(ctx context.Context, expired time.Time, limit int) (int, error) {
	swept, err := m.queries.SweepMessages(ctx, postgresdb.SweepMessagesParams{Expired: expired, UpTo: int64(limit)})
	if err != nil {
		return 0, wrap("sweeping messages", err)
	}
	return int(swept), nil
}

func outboxEmailOf(row postgresdb.Message) (*domain.OutboxEmail, error) {
	id, err := domain.ParseOutboxEmailID(row.ID)
	if err != nil {
		return nil, fmt.Errorf("reading a message: %w", err)
	}
	userID, err := optionalIDOf(row.UserID, domain.ParseUserID)
	if err != nil {
		return nil, fmt.Errorf("reading a message's user: %w", err)
	}
	return domain.RestoreOutboxEmail(domain.OutboxEmailState{
		ID:     id,
		UserID: userID,
		To:     domain.Email(row.Recipient),
		Kind:   domain.EmailKind(row.Kind),
		Details: domain.EmailDetails{
			At:          optionalTime(row.HappenedAt),
			Actor:       domain.Actor(textOf(row.Party)),
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
