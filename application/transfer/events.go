package transfer

import (
	"context"
	"reflect"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// events are entries of a log that does not fit into its user's line, or of those that are nobody's any more.
type events struct {
	UserID userID  `json:"user,omitzero"`   // zero for nobody's
	Before eventID `json:"before,omitzero"` // all come before this one; zero for nobody's latest
	List   []event `json:"list"`            // newest first
}

type event struct {
	ID           eventID       `json:"id"`
	Kind         string        `json:"kind"`
	At           jsonTime      `json:"at"`
	Actor        string        `json:"by"`
	SessionID    sessionID     `json:"session,omitzero"`
	CredentialID binary        `json:"passkey,omitempty"`
	PasskeyName  string        `json:"passkey_name,omitempty"`
	DeviceName   string        `json:"device_name,omitempty"`
	IP           string        `json:"ip,omitempty"`
	Reason       string        `json:"reason,omitempty"`
	Changed      []string      `json:"changed,omitempty"`
	RequestID    string        `json:"request_id,omitempty"`
	Key          repetitionKey `json:"key,omitzero"` // absent for those of nobody: the other installation may have an event of that key
	Repeats      int           `json:"repeats,omitempty"`
	LastAt       jsonTime      `json:"last_at,omitzero"`
	OtherIPs     []string      `json:"other_ips,omitempty"`
}

// merge adds those that are not there and reports whether there were any.
func (r *events) merge(ctx context.Context, tx ports.Tx) (added bool, err error) {
	there, err := r.existing(ctx, tx)
	if err != nil {
		return false, err
	}
	for _, e := range r.List {
		if known, found := there[e.ID]; found {
			if !reflect.DeepEqual(known, e) {
				return false, conflict("event %s is there already and is another one", e.ID)
			}
			continue
		}
		if err := tx.Events.Add(ctx, domain.RestoreEvent(e.state(r.UserID.UserID))); err != nil {
			return false, err
		}
		added = true
	}
	return added, nil
}

// existing are those of the list that are in the store.
func (r *events) existing(ctx context.Context, tx ports.Tx) (map[eventID]event, error) {
	wanted := map[eventID]bool{}
	for _, e := range r.List {
		wanted[e.ID] = true
	}
	there := map[eventID]event{}
	last := r.List[len(r.List)-1].ID
	for before := r.Before; ; {
		page, err := tx.Events.ListByUser(ctx, r.UserID.UserID, before.EventID, eventsPerLine)
		if err != nil {
			return nil, err
		}
		for _, e := range eventsOf(page) {
			if before = e.ID; wanted[e.ID] {
				there[e.ID] = e
			}
		}
		if len(page) < eventsPerLine || before.String() <= last.String() {
			return there, nil
		}
	}
}

func eventsOf(log []*domain.Event) []event {
	return mapSlice(log, func(e *domain.Event) event { return eventOf(e.State()) })
}

func eventOf(s domain.EventState) event {
	e := event{
		ID: eventID{s.ID}, Kind: string(s.Kind), At: jsonTimeOf(s.At), Actor: string(s.Actor), SessionID: sessionID{s.SessionID},
		CredentialID: binaryOf(s.CredentialID.Bytes()), PasskeyName: string(s.PasskeyName), DeviceName: s.DeviceName, IP: s.IP,
		Reason: s.Reason, Changed: nilIfEmpty(s.Changed), RequestID: s.RequestID,
		Repeats: s.Repeats, LastAt: jsonTimeOf(s.LastAt), OtherIPs: nilIfEmpty(s.OtherIPs),
	}
	if !s.UserID.IsZero() {
		e.Key = repetitionKey(s.Key)
	}
	return e
}

func (r event) state(owner domain.UserID) domain.EventState {
	return domain.EventState{
		ID: r.ID.EventID, UserID: owner, Kind: domain.EventKind(r.Kind), At: r.At.Time, Actor: domain.Actor(r.Actor),
		SessionID: r.SessionID.SessionID, CredentialID: domain.CredentialID(r.CredentialID), PasskeyName: domain.PasskeyName(r.PasskeyName),
		DeviceName: r.DeviceName, IP: r.IP, Reason: r.Reason, Changed: r.Changed, RequestID: r.RequestID,
		Key: domain.RepetitionKey(r.Key), Repeats: r.Repeats, LastAt: r.LastAt.Time, OtherIPs: r.OtherIPs,
	}
}
