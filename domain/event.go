package domain

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"slices"
	"strings"
	"time"
)

// Event is an entry of a user's security log: what happened to the account, for its owner to read. It holds no secret.
type Event struct{ state EventState }

// EventState is an event's state as storage keeps it. What does not apply is zero.
type EventState struct {
	ID           EventID      `export:"id"`
	UserID       UserID       // zero once the account is gone
	Kind         EventKind    `export:"kind"`
	At           time.Time    `export:"at"`
	Actor        Actor        `export:"by"`
	SessionID    SessionID    `export:"session,omitzero"`
	CredentialID CredentialID `export:"passkey,omitempty"`
	PasskeyName  PasskeyName  `export:"passkey_name,omitempty"` // as it was then
	DeviceName   string       `export:"device_name,omitempty"`  // for people: "Firefox on Linux"
	IP           string       `export:"ip,omitempty"`
	Reason       string       `export:"reason,omitempty"`     // a Reason, a Finding or the code of an Error
	Changed      []string     `export:"changed,omitempty"`    // names of what was changed
	RequestID    string       `export:"request_id,omitempty"` // as in the operator's log

	// An event that repeats an earlier one is counted there and is no entry of its own.
	Key      RepetitionKey `export:"key,omitzero"`        // what the two have in common; zero for an event that stands alone
	Repeats  int           `export:"repeats,omitempty"`   // how often it happened again
	LastAt   time.Time     `export:"last_at,omitzero"`    // of the latest repetition; zero for none
	OtherIPs []string      `export:"other_ips,omitempty"` // further addresses that repetitions came from: at most maxOtherIPs
}

// RepetitionKey is the same for events that are counted as one entry: those of one account, kind, reason and UTC day.
type RepetitionKey [16]byte

// IsZero says that the event stands alone.
func (k RepetitionKey) IsZero() bool { return k == RepetitionKey{} }

// ErrEventNotFound says that no event has a key.
var ErrEventNotFound = errors.New("there is no such event")

// maxOtherIPs bounds what a stranger with many addresses adds to an entry.
const maxOtherIPs = 9

// ReasonSessionLimit is the Reason of a session that ended since the account had more than SessionLimit.
const ReasonSessionLimit = "session_limit"

// Actor is whose doing an event was.
type Actor string

const (
	ActorUser     Actor = "user" // or somebody who said so, where an attempt was refused
	ActorOperator Actor = "operator"
)

// EventKind says what happened.
type EventKind string

const (
	EventSignedUp             EventKind = "signed_up"
	EventSignedIn             EventKind = "signed_in"
	EventSignInRefused        EventKind = "sign_in_refused"
	EventSignedOut            EventKind = "signed_out"
	EventSteppedUp            EventKind = "stepped_up"
	EventStepUpRefused        EventKind = "step_up_refused"
	EventSessionRevoked       EventKind = "session_revoked"
	EventRefreshTokenReused   EventKind = "refresh_token_reused"
	EventPasskeyAdded         EventKind = "passkey_added"
	EventPasskeyAddRefused    EventKind = "passkey_add_refused" //nolint:gosec // the name of an event
	EventPasskeyRenamed       EventKind = "passkey_renamed"
	EventPasskeyRemoved       EventKind = "passkey_removed"
	EventPasskeyFlagged       EventKind = "passkey_flagged"   // a Finding
	EventPasskeySuspended     EventKind = "passkey_suspended" // because of a Finding
	EventAccountChanged       EventKind = "account_changed"
	EventTOTPAdded            EventKind = "totp_added"
	EventTOTPRemoved          EventKind = "totp_removed"
	EventBackupCodesGenerated EventKind = "backup_codes_generated"
	EventRecoveryGranted      EventKind = "recovery_granted" // Changed says by which factors
	EventRecoveryRefused      EventKind = "recovery_refused"
	EventRecoveryLocked       EventKind = "recovery_locked" // too many wrong codes; a sign-in by passkey opens it
	EventRecovered            EventKind = "recovered"
	EventAccountDisabled      EventKind = "account_disabled"
	EventAccountEnabled       EventKind = "account_enabled"
	EventAccountDeleted       EventKind = "account_deleted"
)

// EventKinds are all of them.
var EventKinds = []EventKind{
	EventSignedUp, EventSignedIn, EventSignInRefused, EventSignedOut, EventSteppedUp, EventStepUpRefused, EventSessionRevoked,
	EventRefreshTokenReused, EventPasskeyAdded, EventPasskeyAddRefused, EventPasskeyRenamed, EventPasskeyRemoved,
	EventPasskeyFlagged, EventPasskeySuspended, EventAccountChanged, EventTOTPAdded, EventTOTPRemoved, EventBackupCodesGenerated,
	EventRecoveryGranted, EventRecoveryRefused, EventRecoveryLocked, EventRecovered, EventAccountDisabled, EventAccountEnabled,
	EventAccountDeleted,
}

// Repeatable reports whether a person without access to the account can cause such an event as often as they like. One entry a
// day for each reason bounds what they add to the log, so that they can't push out of sight what changed the account.
func (k EventKind) Repeatable() bool {
	switch k {
	case EventSignInRefused, EventStepUpRefused, EventPasskeyAddRefused, EventRecoveryRefused, EventPasskeyFlagged:
		return true
	}
	return false
}

// NewEvent enters what has happened into the log. The id, the time and the key of e are given here; By is the user unless e
// says otherwise.
func NewEvent(e EventState, now time.Time, random io.Reader) *Event {
	return newEvent(e, "user\x00"+e.UserID.String(), now, random)
}

// NewAnonymousEvent enters what a stranger did about a name or a passkey that belongs to no account. Such events share 256
// entries for each kind, reason and day: they are bounded, and few of those that are written at once meet in one row.
func NewAnonymousEvent(e EventState, about LockoutSubject, now time.Time, random io.Reader) *Event {
	return newEvent(e, "nameless\x00"+string(about[:1]), now, random)
}

func newEvent(e EventState, of string, now time.Time, random io.Reader) *Event {
	e.ID, e.At = NewEventID(now, random), now
	if e.Actor == "" {
		e.Actor = ActorUser
	}
	e.Key, e.Repeats, e.LastAt, e.OtherIPs = RepetitionKey{}, 0, time.Time{}, nil
	if e.Kind.Repeatable() {
		e.Key = e.repetitionKey(of)
	}
	return RestoreEvent(e)
}

func (s EventState) repetitionKey(of string) RepetitionKey {
	parts := []string{of, string(s.Kind), s.Reason, s.At.UTC().Format(time.DateOnly)}
	if s.Kind == EventPasskeyFlagged {
		// Who flags a passkey holds a copy of its key. Each passkey is an entry, and a notice, of its own.
		parts = append(parts, string(s.CredentialID))
	}
	digest := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return RepetitionKey(digest[:len(RepetitionKey{})])
}

// AddRepetition counts another event with the same key here. The passkey and the session stay if they are the other's too; the
// device and the request stay those of the first.
func (e *Event) AddRepetition(other *Event) {
	s, o := &e.state, other.state
	s.Repeats++
	if o.At.After(s.LastAt) {
		s.LastAt = o.At
	}
	if o.CredentialID != s.CredentialID {
		s.CredentialID, s.PasskeyName = "", ""
	}
	if o.SessionID != s.SessionID {
		s.SessionID = SessionID{}
	}
	if o.IP != "" && o.IP != s.IP && !slices.Contains(s.OtherIPs, o.IP) && len(s.OtherIPs) < maxOtherIPs {
		s.OtherIPs = append(s.OtherIPs, o.IP)
	}
}

// Count is how often the event happened.
func (e *Event) Count() int { return e.state.Repeats + 1 }

// LastAt is when the event happened last.
func (e *Event) LastAt() time.Time {
	if e.state.LastAt.IsZero() {
		return e.state.At
	}
	return e.state.LastAt
}

// IPs are the IP addresses that the event came from, in the order of their first appearance: at most ten, and none if
// it came from no address.
func (e *Event) IPs() []string {
	if e.state.IP == "" {
		return slices.Clone(e.state.OtherIPs)
	}
	return append([]string{e.state.IP}, e.state.OtherIPs...)
}

// RestoreEvent is storage's way back from a snapshot.
func RestoreEvent(s EventState) *Event { return &Event{s.clone()} }

// State is storage's way in.
func (e *Event) State() EventState { return e.state.clone() }

// WithIDAfter returns the event with an id that sorts after the given one: its own if that does, else the next (RFC 9562,
// section 6.2, method 2). So a log reads in the order in which it was written, within one millisecond too.
func (e *Event) WithIDAfter(last EventID) *Event {
	s := e.State()
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

// Key is zero for an event that stands alone.
func (e *Event) Key() RepetitionKey { return e.state.Key }

func (s EventState) clone() EventState {
	s.Changed = slices.Clone(s.Changed)
	s.OtherIPs = slices.Clone(s.OtherIPs)
	return s
}
