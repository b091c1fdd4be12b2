package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/keylodge/keylodge/db/postgresdb"
	"github.com/keylodge/keylodge/domain"
)

type events struct{ queries *postgresdb.Queries }

func (e events) Add(ctx context.Context, event *domain.Event) error {
	s := event.State()
	row := postgresdb.AddEventParams{
		ID:          s.ID.String(),
		Kind:        string(s.Kind),
		At:          s.At,
		Party:       string(s.Actor),
		Reason:      optionalText(s.Reason),
		UserID:      optionalID(s.UserID),
		SessionID:   optionalID(s.SessionID),
		PasskeyName: optionalText(s.PasskeyName),
		DeviceName:  optionalText(s.DeviceName),
		IP:          optionalText(s.IP),
		Changed:     encodeList(s.Changed),
		RequestID:   optionalText(s.RequestID),
		Repeats:     int64(s.Repeats),
		LastAt:      optionalTimestamp(s.LastAt),
		OtherIPs:    encodeList(s.OtherIPs),
	}
	if !s.Key.IsZero() {
		row.RepeatKey = s.Key[:]
	}
	if s.CredentialID != "" {
		row.CredentialID = s.CredentialID.Bytes()
	}
	if err := e.queries.AddEvent(ctx, row); err != nil {
		return wrap("adding an event", err)
	}
	return nil
}

func (e events) ByKey(ctx context.Context, key domain.RepetitionKey) (*domain.Event, error) {
	row, err := e.queries.EventByKey(ctx, key[:])
	if err != nil {
		return nil, wrapNotFound("looking an event up", err, domain.ErrEventNotFound)
	}
	return eventOf(row)
}

func (e events) Save(ctx context.Context, event *domain.Event) error {
	s := event.State()
	row := postgresdb.SaveEventParams{
		ID:          s.ID.String(),
		SessionID:   optionalID(s.SessionID),
		PasskeyName: optionalText(s.PasskeyName),
		Repeats:     int64(s.Repeats),
		LastAt:      optionalTimestamp(s.LastAt),
		OtherIPs:    encodeList(s.OtherIPs),
	}
	if s.CredentialID != "" {
		row.CredentialID = s.CredentialID.Bytes()
	}
	saved, err := e.queries.SaveEvent(ctx, row)
	if err != nil {
		return wrap("saving an event", err)
	}
	if saved == 0 {
		return domain.ErrEventNotFound
	}
	return nil
}

func (e events) ListByUser(ctx context.Context, user domain.UserID, from domain.EventID, limit int, kinds ...domain.EventKind) ([]*domain.Event, error) {
	var rows []postgresdb.Event
	var err error
	if user.IsZero() {
		rows, err = e.queries.EventsOfNobody(ctx, postgresdb.EventsOfNobodyParams{Before: upperBound(from), Kinds: encodeList(kinds), UpTo: int64(limit)})
	} else {
		rows, err = e.queries.EventsOfUser(ctx, postgresdb.EventsOfUserParams{
			UserID: optionalID(user), Before: upperBound(from), Kinds: encodeList(kinds), UpTo: int64(limit),
		})
	}
	if err != nil {
		return nil, wrap("listing a user's events", err)
	}
	return restoreAll(rows, eventOf)
}

func (e events) DeleteExpired(ctx context.Context, before time.Time, limit int) (int, error) {
	swept, err := e.queries.SweepEvents(ctx, postgresdb.SweepEventsParams{Before: before, UpTo: int64(limit)})
	if err != nil {
		return 0, wrap("sweeping events", err)
	}
	return int(swept), nil
}

func eventOf(row postgresdb.Event) (*domain.Event, error) {
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
	var key domain.RepetitionKey
	if err := optionalBytes(key[:], row.RepeatKey); err != nil {
		return nil, fmt.Errorf("reading an event's key: %w", err)
	}
	return domain.RestoreEvent(domain.EventState{
		ID:           id,
		UserID:       userID,
		Kind:         domain.EventKind(row.Kind),
		At:           timeOf(row.At),
		Actor:        domain.Actor(row.Party),
		SessionID:    sessionID,
		CredentialID: domain.CredentialID(row.CredentialID),
		PasskeyName:  domain.PasskeyName(textOf(row.PasskeyName)),
		DeviceName:   textOf(row.DeviceName),
		IP:           textOf(row.IP),
		Reason:       textOf(row.Reason),
		Changed:      decodeList[string](row.Changed),
		RequestID:    textOf(row.RequestID),
		Key:          key,
		Repeats:      int(row.Repeats),
		LastAt:       optionalTime(row.LastAt),
		OtherIPs:     decodeList[string](row.OtherIPs),
	}), nil
}
