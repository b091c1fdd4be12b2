package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/keylodge/keylodge/db/sqlitedb"
	"github.com/keylodge/keylodge/domain"
)

type events struct{ queries *sqlitedb.Queries }

func (e events) Add(ctx context.Context, event *domain.Event) error {
	s := event.Snapshot()
	changed, err := listText(s.Changed)
	if err != nil {
		return fmt.Errorf("adding an event: %w", err)
	}
	row := sqlitedb.AddEventParams{
		ID:          s.ID.String(),
		Kind:        string(s.Kind),
		At:          micros(s.At),
		Party:       string(s.By),
		Reason:      optionalText(s.Reason),
		UserID:      optionalID(s.UserID),
		SessionID:   optionalID(s.SessionID),
		PasskeyName: optionalText(s.PasskeyName),
		DeviceName:  optionalText(s.DeviceName),
		IP:          optionalText(s.IP),
		Changed:     changed,
		RequestID:   optionalText(s.RequestID),
	}
	if s.CredentialID != "" {
		row.CredentialID = s.CredentialID.Bytes()
	}
	if err := e.queries.AddEvent(context.WithoutCancel(ctx), row); err != nil {
		return fault("adding an event", err)
	}
	return nil
}

func (e events) OfUser(ctx context.Context, user domain.UserID, from domain.EventID, limit int) ([]*domain.Event, error) {
	rows, err := e.queries.EventsOfUser(context.WithoutCancel(ctx), sqlitedb.EventsOfUserParams{
		UserID: optionalID(user), Before: before(from), UpTo: int64(limit),
	})
	if err != nil {
		return nil, fault("listing a user's events", err)
	}
	return restoreAll(rows, eventOf)
}

func (e events) Sweep(ctx context.Context, before time.Time, limit int) (int, error) {
	swept, err := e.queries.SweepEvents(context.WithoutCancel(ctx), sqlitedb.SweepEventsParams{Before: micros(before), UpTo: int64(limit)})
	if err != nil {
		return 0, fault("sweeping events", err)
	}
	return int(swept), nil
}

func eventOf(row sqlitedb.Event) (*domain.Event, error) {
	id, err := domain.ParseEventID(row.ID)
	if err != nil {
		return nil, fmt.Errorf("reading an event: %w", err)
	}
	userID, err := optionalIDOf(row.UserID, domain.ParseUserID)
	if err != nil {
		return nil, fmt.Errorf("reading an event's user: %w", err)
	}
	sessionID, err := optionalIDOf(row.SessionID, domain.ParseSessionID)
	if err != nil {
		return nil, fmt.Errorf("reading an event's session: %w", err)
	}
	changed, err := listOf[string](row.Changed)
	if err != nil {
		return nil, fmt.Errorf("reading what an event changed: %w", err)
	}
	return domain.RestoreEvent(domain.EventSnapshot{
		ID:           id,
		UserID:       userID,
		Kind:         domain.EventKind(row.Kind),
		At:           timeOf(row.At),
		By:           domain.Party(row.Party),
		SessionID:    sessionID,
		CredentialID: domain.CredentialID(row.CredentialID),
		PasskeyName:  domain.PasskeyName(textOf(row.PasskeyName)),
		DeviceName:   textOf(row.DeviceName),
		IP:           textOf(row.IP),
		Reason:       textOf(row.Reason),
		Changed:      changed,
		RequestID:    textOf(row.RequestID),
	}), nil
}
