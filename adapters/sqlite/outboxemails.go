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

type outboxEmails struct {
	queries         *sqlitedb.Queries
	truncatePending *bool // set when one goes that has outlived its user: it told who that was
}

func (m outboxEmails) Add(ctx context.Context, message *domain.OutboxEmail) error {
	s := message.State()
	err := m.queries.AddMessage(context.WithoutCancel(ctx), sqlitedb.AddMessageParams{
		ID:          s.ID.String(),
		UserID:      optionalID(s.UserID),
		Recipient:   string(s.To),
		Kind:        string(s.Kind),
		HappenedAt:  optionalMicros(s.Details.At),
		Party:       optionalText(s.Details.Actor),
		PasskeyName: optionalText(s.Details.PasskeyName),
		DeviceName:  optionalText(s.Details.DeviceName),
		IP:          optionalText(s.Details.IP),
		Code:        s.Code,
		Attempts:    int64(s.Attempts),
		DueAt:       micros(s.DueAt),
		ExpiresAt:   micros(s.ExpiresAt),
	})
	if err != nil {
		return wrap("adding a message", err)
	}
	return nil
}

func (m outboxEmails) ListDue(ctx context.Context, now time.Time, limit int) ([]*domain.OutboxEmail, error) {
	rows, err := m.queries.DueMessages(context.WithoutCancel(ctx), sqlitedb.DueMessagesParams{Now: micros(now), UpTo: int64(limit)})
	if err != nil {
		return nil, wrap("listing due messages", err)
	}
	return restoreAll(rows, outboxEmailOf)
}

func (m outboxEmails) List(ctx context.Context, after domain.OutboxEmailID, limit int) ([]*domain.OutboxEmail, error) {
	rows, err := m.queries.MessagesAfter(context.WithoutCancel(ctx), sqlitedb.MessagesAfterParams{After: after.String(), UpTo: int64(limit)})
	if err != nil {
		return nil, wrap("listing messages", err)
	}
	return restoreAll(rows, outboxEmailOf)
}

func (m outboxEmails) Save(ctx context.Context, message *domain.OutboxEmail) error {
	s := message.State()
	err := m.queries.SaveMessage(context.WithoutCancel(ctx), sqlitedb.SaveMessageParams{
		Attempts: int64(s.Attempts),
		DueAt:    micros(s.DueAt),
		ID:       s.ID.String(),
	})
	if err != nil {
		return wrap("saving a message", err)
	}
	return nil
}

func (m outboxEmails) Remove(ctx context.Context, id domain.OutboxEmailID) error {
	owner, err := m.queries.RemoveMessage(context.WithoutCancel(ctx), id.String())
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return wrap("removing a message", err)
	}
	m.truncateIfOrphaned(owner)
	return nil
}

func (m outboxEmails) DeleteExpired(ctx context.Context, expired time.Time, limit int) (int, error) {
	owners, err := m.queries.SweepMessages(context.WithoutCancel(ctx), sqlitedb.SweepMessagesParams{
		Expired: micros(expired), UpTo: int64(limit),
	})
	if err != nil {
		return 0, wrap("sweeping messages", err)
	}
	m.truncateIfOrphaned(owners...)
	return len(owners), nil
}

// truncateIfOrphaned has what was deleted forgotten if there was a message among it that belonged to nobody.
func (m outboxEmails) truncateIfOrphaned(owners ...*string) {
	if slices.Contains(owners, nil) {
		*m.truncatePending = true
	}
}

func outboxEmailOf(row sqlitedb.Message) (*domain.OutboxEmail, error) {
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
