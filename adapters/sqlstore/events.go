package sqlstore

import (
	"context"
	"time"

	"github.com/keylodge/keylodge/db/column"
	"github.com/keylodge/keylodge/db/sqlitedb"
	"github.com/keylodge/keylodge/domain"
)

type events struct{ collection }

func (e events) Add(ctx context.Context, event *domain.Event) error {
	return e.wrap("adding an event", e.q.AddEvent(ctx, sqlitedb.AddEventParams(eventRow(event))))
}

func (e events) ByKey(ctx context.Context, key domain.RepetitionKey) (*domain.Event, error) {
	row, err := e.q.EventByKey(ctx, key[:])
	if err != nil {
		return nil, e.wrapNotFound("looking up an event", err, domain.ErrEventNotFound)
	}
	return eventOf(row)
}

func (e events) Save(ctx context.Context, event *domain.Event) error {
	row := eventRow(event)
	saved, err := e.q.SaveEvent(ctx, sqlitedb.SaveEventParams{
		SessionID:    row.SessionID,
		CredentialID: row.CredentialID,
		PasskeyName:  row.PasskeyName,
		Repeats:      row.Repeats,
		LastAt:       row.LastAt,
		OtherIPs:     row.OtherIPs,
		ID:           row.ID,
	})
	return e.affected("saving an event", saved, err, domain.ErrEventNotFound)
}

func (e events) ListByUser(ctx context.Context, user domain.UserID, before domain.EventID, limit int, kinds ...domain.EventKind) ([]*domain.Event, error) {
	rows, err := e.q.ListEventsByUser(ctx, sqlitedb.ListEventsByUserParams{
		UserID: optionalID(user), Before: upperBound(before), Kinds: stringsOf(kinds).JSON(), UpTo: int64(limit),
	})
	if err != nil {
		return nil, e.wrap("listing a user's events", err)
	}
	return restoreAll(rows, eventOf)
}

func (e events) ListByUserAfter(ctx context.Context, user domain.UserID, after, before domain.EventID, limit int, kinds ...domain.EventKind) ([]*domain.Event, error) {
	rows, err := e.q.ListEventsOfUserAfter(ctx, sqlitedb.ListEventsOfUserAfterParams{
		UserID: optionalID(user), After: after.String(), Before: before.String(), Kinds: stringsOf(kinds).JSON(), UpTo: int64(limit),
	})
	if err != nil {
		return nil, e.wrap("listing a user's events", err)
	}
	return restoreAll(rows, eventOf)
}

func (e events) List(ctx context.Context, after, before domain.EventID, limit int, kinds ...domain.EventKind) ([]*domain.Event, error) {
	rows, err := e.q.ListEvents(ctx, sqlitedb.ListEventsParams{After: after.String(), Before: before.String(), Kinds: stringsOf(kinds).JSON(), UpTo: int64(limit)})
	if err != nil {
		return nil, e.wrap("listing events", err)
	}
	return restoreAll(rows, eventOf)
}

func (e events) DeleteExpired(ctx context.Context, before time.Time, limit int) (int, error) {
	deleted, err := e.q.DeleteExpiredEvents(ctx, column.Time{Time: before}, int64(limit))
	return int(deleted), e.wrap("deleting expired events", err)
}

func eventRow(event *domain.Event) sqlitedb.Event {
	s := event.State()
	row := sqlitedb.Event{
		ID:          s.ID.String(),
		Kind:        string(s.Kind),
		At:          column.Time{Time: s.At},
		Actor:       string(s.Actor),
		Reason:      column.Text(s.Reason),
		UserID:      optionalID(s.UserID),
		SessionID:   optionalID(s.SessionID),
		PasskeyName: column.Text(s.PasskeyName),
		DeviceName:  column.Text(s.DeviceName),
		IP:          column.Text(s.IP),
		Changed:     s.Changed,
		APIKeyID:    optionalID(s.APIKey),
		InviteID:    optionalID(s.Invite),
		RequestID:   column.Text(s.RequestID),
		Repeats:     int64(s.Repeats),
		LastAt:      column.Time{Time: s.LastAt},
		OtherIPs:    s.OtherIPs,
	}
	if !s.Key.IsZero() {
		row.RepeatKey = s.Key[:]
	}
	if s.CredentialID != "" {
		row.CredentialID = s.CredentialID.Bytes()
	}
	return row
}

func eventOf(row sqlitedb.Event) (*domain.Event, error) {
	var d decoder
	s := domain.EventState{
		ID:           parseID(&d, "id", row.ID, domain.ParseEventID),
		UserID:       parseID(&d, "user_id", row.UserID, domain.ParseUserID),
		Kind:         domain.EventKind(row.Kind),
		At:           row.At.Time,
		Actor:        domain.Actor(row.Actor),
		SessionID:    parseID(&d, "session_id", row.SessionID, domain.ParseSessionID),
		CredentialID: domain.CredentialID(row.CredentialID),
		PasskeyName:  domain.PasskeyName(row.PasskeyName),
		DeviceName:   string(row.DeviceName),
		IP:           string(row.IP),
		Reason:       string(row.Reason),
		Changed:      row.Changed,
		RequestID:    string(row.RequestID),
		APIKey:       parseID(&d, "api_key_id", row.APIKeyID, domain.ParseAPIKeyID),
		Invite:       parseID(&d, "invite_id", row.InviteID, domain.ParseInviteID),
		Repeats:      int(row.Repeats),
		LastAt:       row.LastAt.Time,
		OtherIPs:     row.OtherIPs,
	}
	d.bytes("repeat_key", s.Key[:], row.RepeatKey)
	return restore(d, "event", s, domain.RestoreEvent)
}
