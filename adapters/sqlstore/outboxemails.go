package sqlstore

import (
	"context"
	"time"

	"github.com/keylodge/keylodge/db/column"
	"github.com/keylodge/keylodge/db/sqlitedb"
	"github.com/keylodge/keylodge/domain"
)

type outboxEmails struct{ collection }

func (o outboxEmails) Add(ctx context.Context, email *domain.OutboxEmail) error {
	s := email.State()
	return o.wrap("adding an e-mail", o.q.AddOutboxEmail(ctx, sqlitedb.AddOutboxEmailParams{
		ID:          s.ID.String(),
		UserID:      optionalID(s.UserID),
		Recipient:   string(s.To),
		Locale:      column.Text(s.Locale),
		Kind:        string(s.Kind),
		HappenedAt:  column.Time{Time: s.Details.At},
		Actor:       column.Text(s.Details.Actor),
		PasskeyName: column.Text(s.Details.PasskeyName),
		DeviceName:  column.Text(s.Details.DeviceName),
		IP:          column.Text(s.Details.IP),
		Code:        s.Code,
		Attempts:    int64(s.Attempts),
		DueAt:       column.Time{Time: s.DueAt},
		ExpiresAt:   column.Time{Time: s.ExpiresAt},
	}))
}

func (o outboxEmails) ListDue(ctx context.Context, now time.Time, limit int) ([]*domain.OutboxEmail, error) {
	rows, err := o.q.ListDueOutboxEmails(ctx, column.Time{Time: now}, int64(limit))
	if err != nil {
		return nil, o.wrap("listing due e-mails", err)
	}
	return restoreAll(rows, outboxEmailOf)
}

func (o outboxEmails) List(ctx context.Context, after domain.OutboxEmailID, limit int) ([]*domain.OutboxEmail, error) {
	rows, err := o.q.ListOutboxEmails(ctx, after.String(), int64(limit))
	if err != nil {
		return nil, o.wrap("listing e-mails", err)
	}
	return restoreAll(rows, outboxEmailOf)
}

func (o outboxEmails) Count(ctx context.Context) (int, error) {
	count, err := o.q.CountOutboxEmails(ctx)
	return int(count), o.wrap("counting the e-mails", err)
}

func (o outboxEmails) Save(ctx context.Context, email *domain.OutboxEmail) error {
	s := email.State()
	return o.wrap("saving an e-mail", o.q.SaveOutboxEmail(ctx, sqlitedb.SaveOutboxEmailParams{
		Attempts: int64(s.Attempts), DueAt: column.Time{Time: s.DueAt}, ID: s.ID.String(),
	}))
}

func (o outboxEmails) Remove(ctx context.Context, id domain.OutboxEmailID) error {
	_, err := o.q.RemoveOutboxEmail(ctx, id.String())
	return o.wrapNotFound("removing an e-mail", err, nil)
}

func (o outboxEmails) DeleteExpired(ctx context.Context, expired time.Time, limit int) (int, error) {
	deleted, err := o.q.DeleteExpiredOutboxEmails(ctx, column.Time{Time: expired}, int64(limit))
	return len(deleted), o.wrap("deleting expired e-mails", err)
}

func outboxEmailOf(row sqlitedb.OutboxEmail) (*domain.OutboxEmail, error) {
	var d decoder
	s := domain.OutboxEmailState{
		ID:     parseID(&d, "id", row.ID, domain.ParseOutboxEmailID),
		UserID: parseID(&d, "user_id", row.UserID, domain.ParseUserID),
		To:     domain.Email(row.Recipient),
		Locale: domain.Locale(row.Locale),
		Kind:   domain.EmailKind(row.Kind),
		Details: domain.EmailDetails{
			At:          row.HappenedAt.Time,
			Actor:       domain.Actor(row.Actor),
			PasskeyName: domain.PasskeyName(row.PasskeyName),
			DeviceName:  string(row.DeviceName),
			IP:          string(row.IP),
		},
		Code:      row.Code,
		Attempts:  int(row.Attempts),
		DueAt:     row.DueAt.Time,
		ExpiresAt: row.ExpiresAt.Time,
	}
	return restore(d, "e-mail", s, domain.RestoreOutboxEmail)
}
