package domain

import (
	"bytes"
	"io"
	"slices"
	"time"
)

// Event is an entry of a user's security log: what happened to the account, for its owner to read. It holds no secret.
type Event struct{ state EventSnapshot }

// EventSnapshot is an event's state as storage keeps it. What does not apply is zero.
type EventSnapshot struct {
	ID           EventID
	UserID       UserID // zero once the account is gone
	Kind         EventKind
	At           time.Time
	By           Party
	SessionID    SessionID
	CredentialID CredentialID
	PasskeyName  PasskeyName // as it was then
	DeviceName   string      // for people: "Firefox on Linux"
	IP           string
	Reason       string   // a Reason, a Finding or the code of an Error
	Changed      []string // names of what was changed
	RequestID    string   // as in the operator's log
}

// Party is whose doing an event was.
type Party string

const (
	ByUser     Party = "user" // or somebody who said so, where an attempt was refused
	ByOperator Party = "operator"
)

// EventKind says what happened.
type EventKind string

const (
	EventSignedUp           EventKind = "signed_up"
	EventSignedIn           EventKind = "signed_in"
	EventSignInRefused      EventKind = "sign_in_refused"
	EventSignedOut          EventKind = "signed_out"
	EventSteppedUp          EventKind = "stepped_up"
	EventStepUpRefused      EventKind = "step_up_refused"
	EventSessionRevoked     EventKind = "session_revoked"
	EventRefreshTokenReused EventKind = "refresh_token_reused"
	EventPasskeyAdded       EventKind = "passkey_added"
	EventPasskeyAddRefused  EventKind = "passkey_add_refused" //nolint:gosec // the name of an event
	EventPasskeyRenamed     EventKind = "passkey_renamed"
	EventPasskeyRemoved     EventKind = "passkey_removed"
	EventPasskeyFlagged     EventKind = "passkey_flagged"   // a Finding
	EventPasskeySuspended   EventKind = "passkey_suspended" // because of a Finding
	EventAccountChanged     EventKind = "account_changed"
	EventTOTPAdded          EventKind = "totp_added"
	EventTOTPRemoved        EventKind = "totp_removed"
	EventBackupCodesMade    EventKind = "backup_codes_made"
	EventRecoveryGranted    EventKind = "recovery_granted" // Changed says by which factors
	EventRecoveryRefused    EventKind = "recovery_refused"
	EventRecoveryClosed     EventKind = "recovery_closed" // too many wrong codes; a sign-in by passkey opens it
	EventRecovered          EventKind = "recovered"
	EventAccountDisabled    EventKind = "account_disabled"
	EventAccountEnabled     EventKind = "account_enabled"
	EventAccountDeleted     EventKind = "account_deleted"
)

// NewEvent enters what has happened into the log. The id and the time of e are given here; By is the user unless e says
// otherwise.
func NewEvent(e EventSnapshot, now time.Time, random io.Reader) (*Event, error) {
	id, err := NewEventID(now, random)
	if err != nil {
		return nil, err
	}
	e.ID, e.At = id, now
	if e.By == "" {
		e.By = ByUser
	}
	return RestoreEvent(e), nil
}

// RestoreEvent is storage's way back from a snapshot.
func RestoreEvent(s EventSnapshot) *Event { return &Event{s.clone()} }

// Snapshot is storage's way in.
func (e *Event) Snapshot() EventSnapshot { return e.state.clone() }

// After returns the event with an id that sorts after the given one: its own if that does, else the next (RFC 9562,
// section 6.2, method 2). So a log reads in the order in which it was written, within one millisecond too.
func (e *Event) After(last EventID) *Event {
	s := e.Snapshot()
	if bytes.Compare(s.ID.uuid[:], last.uuid[:]) > 0 {
		return e
	}
	s.ID = last
	for i := len(s.ID.uuid) - 1; i > 8; i-- { // what is left of them is never used up
		if s.ID.uuid[i]++; s.ID.uuid[i] != 0 {
			break
		}
	}
	return &Event{s}
}

func (e *Event) ID() EventID     { return e.state.ID }
func (e *Event) UserID() UserID  { return e.state.UserID }
func (e *Event) Kind() EventKind { return e.state.Kind }

func (s EventSnapshot) clone() EventSnapshot {
	s.Changed = slices.Clone(s.Changed)
	return s
}
