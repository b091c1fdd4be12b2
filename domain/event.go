package domain

import (
	"crypto/sha256"
	"errors"
	"io"
	"slices"
	"strings"
	"time"
)

// Event is an entry of an account's audit log, which its owner reads. It contains no secrets.
type Event struct{ state EventState }

// EventState is the state of an event as it is stored. Fields that do not apply are zero.
type EventState struct {
	ID           EventID      `export:"id"`
	UserID       UserID       // zero after the account is deleted
	Kind         EventKind    `export:"kind"`
	At           time.Time    `export:"at"`
	Actor        Actor        `export:"actor"`
	SessionID    SessionID    `export:"session,omitzero"`
	CredentialID CredentialID `export:"passkey,omitempty"`
	PasskeyName  PasskeyName  `export:"passkey_name,omitempty"` // at the time of the event
	DeviceName   string       `export:"device_name,omitempty"`  // for display: "Firefox on Linux"
	IP           string       `export:"ip,omitempty"`
	Reason       string       `export:"reason,omitempty"`     // a Reason, an Anomaly, or the code of an Error
	Changed      []string     `export:"changed,omitempty"`    // names of changed fields, or the factors of a recovery
	RequestID    string       `export:"request_id,omitempty"` // as in the operator's log
	APIKey       APIKeyID     `export:"api_key,omitzero"`     // of the operator's program; zero on the server itself
	Invite       InviteID     `export:"invite,omitzero"`      // that was created, used or revoked

	// An event that repeats an earlier one is counted in that entry and adds none.
	Key      RepetitionKey `export:"key,omitzero"`        // equal for repetitions; zero for an event that is not repeatable
	Repeats  int           `export:"repeats,omitempty"`   // the number of repetitions
	LastAt   time.Time     `export:"last_at,omitzero"`    // of the latest repetition; zero for none
	OtherIPs []string      `export:"other_ips,omitempty"` // further addresses of repetitions, at most maxOtherIPs
}

// RepetitionKey is equal for events that are counted in one entry: those of one account, kind, reason and UTC day.
type RepetitionKey [16]byte

// IsZero reports whether the event is not repeatable.
func (k RepetitionKey) IsZero() bool { return k == RepetitionKey{} }

// ErrEventNotFound means that no event has the given key.
var ErrEventNotFound = errors.New("there is no such event")

// maxOtherIPs limits the size of an entry, to which a client with many addresses adds.
const maxOtherIPs = 9

// ReasonSessionLimit is the Reason of a session that was revoked because the account exceeded its SessionLimit.
const ReasonSessionLimit = "session_limit"

// Actor is who caused an event.
type Actor string

const (
	ActorUser     Actor = "user" // or, in a rejected attempt, a client that claimed to be the user
	ActorOperator Actor = "operator"
)

// EventKind is the type of an event.
type EventKind string

const (
	EventSignedUp            EventKind = "signed_up"             // an account was created with its first passkey
	EventInviteUsed          EventKind = "invite_used"           // the account was created with the invite that the event names
	EventSignedIn            EventKind = "signed_in"             // a session was opened with a passkey
	EventSignInRefused       EventKind = "sign_in_refused"       // a sign-in with a passkey of the account was rejected
	EventSignedOut           EventKind = "signed_out"            // the session was ended by a sign-out
	EventSteppedUp           EventKind = "stepped_up"            // the user confirmed the session with a passkey
	EventStepUpRefused       EventKind = "step_up_refused"       // a step-up was rejected
	EventSessionRevoked      EventKind = "session_revoked"       // a session was revoked; the reason has the cause if the user did not revoke it
	EventRefreshTokenReused  EventKind = "refresh_token_reused"  // a refresh token was used twice, so its session was revoked
	EventApplicationSignedIn EventKind = "application_signed_in" // an application opened a session with an authorization code
	// EventAuthorizationCodeReused is a second redemption of an authorization code, which revoked the session from the first.
	EventAuthorizationCodeReused EventKind = "authorization_code_reused"
	EventPasskeyAdded            EventKind = "passkey_added" // a passkey was added
	// EventPasskeyAddRefused is a rejected registration of a further passkey.
	EventPasskeyAddRefused    EventKind = "passkey_add_refused"    //nolint:gosec // the name of an event
	EventPasskeyRenamed       EventKind = "passkey_renamed"        // a passkey was renamed
	EventPasskeyRemoved       EventKind = "passkey_removed"        // a passkey was removed
	EventPasskeyFlagged       EventKind = "passkey_flagged"        // an anomaly in the use of a passkey
	EventPasskeySuspended     EventKind = "passkey_suspended"      // a passkey was suspended because of an anomaly
	EventAccountChanged       EventKind = "account_changed"        // members of the account were changed, which changed lists
	EventTOTPAdded            EventKind = "totp_added"             // an authenticator app was confirmed
	EventTOTPRemoved          EventKind = "totp_removed"           // the authenticator app was removed
	EventBackupCodesGenerated EventKind = "backup_codes_generated" // backup codes were generated, and earlier ones revoked
	EventRecoveryGranted      EventKind = "recovery_granted"       // recovery codes were redeemed, or an operator made a recovery link; changed lists the factors
	EventRecoveryRefused      EventKind = "recovery_refused"       // recovery codes were rejected
	EventRecoveryLocked       EventKind = "recovery_locked"        // recovery was locked after too many wrong codes; a sign-in with a passkey unlocks it
	EventRecovered            EventKind = "recovered"              // a passkey was registered with a recovery grant, and earlier sessions were revoked
	EventAccountCreated       EventKind = "account_created"        // the operator created the account, and made a link for its first passkey
	EventAccountDisabled      EventKind = "account_disabled"       // the operator disabled the account
	EventAccountEnabled       EventKind = "account_enabled"        // the operator enabled the account
	EventAccountDeleted       EventKind = "account_deleted"        // the account was deleted; the event has no user
	EventAPIKeyCreated        EventKind = "api_key_created"        // the operator created the API key that the event names; it has no user
	EventAPIKeyRevoked        EventKind = "api_key_revoked"        // the operator revoked the API key that the event names; it has no user
	EventInviteCreated        EventKind = "invite_created"         // the operator created the invite that the event names; it has no user
	EventSigningKeyRotated    EventKind = "signing_key_rotated"    // the operator generated the next signing key; the event has no user
	EventInviteRevoked        EventKind = "invite_revoked"         // the operator revoked the invite that the event names; it has no user
)

// EventKinds lists the kinds of events about an account.
var EventKinds = []EventKind{
	EventSignedUp, EventInviteUsed, EventSignedIn, EventSignInRefused, EventSignedOut, EventSteppedUp, EventStepUpRefused, EventSessionRevoked,
	EventRefreshTokenReused, EventApplicationSignedIn, EventAuthorizationCodeReused, EventPasskeyAdded, EventPasskeyAddRefused, EventPasskeyRenamed, EventPasskeyRemoved,
	EventPasskeyFlagged, EventPasskeySuspended, EventAccountChanged, EventTOTPAdded, EventTOTPRemoved, EventBackupCodesGenerated,
	EventRecoveryGranted, EventRecoveryRefused, EventRecoveryLocked, EventRecovered, EventAccountCreated, EventAccountDisabled, EventAccountEnabled,
	EventAccountDeleted,
}

// ServerEventKinds lists the kinds of events that are about no account.
var ServerEventKinds = []EventKind{EventAPIKeyCreated, EventAPIKeyRevoked, EventInviteCreated, EventInviteRevoked, EventSigningKeyRotated}

// AllEventKinds returns EventKinds and ServerEventKinds.
func AllEventKinds() []EventKind { return slices.Concat(EventKinds, ServerEventKinds) }

// Repeatable reports whether a client without access to the account can cause any number of such events. They share one entry per
// day and reason, so that an attacker cannot hide other events among them.
func (k EventKind) Repeatable() bool {
	switch k {
	case EventSignInRefused, EventStepUpRefused, EventPasskeyAddRefused, EventRecoveryRefused, EventPasskeyFlagged:
		return true
	}
	return false
}

// NewEvent returns an event with the fields of e, a new id, the time and the repetition key. The actor is the user unless e has one.
func NewEvent(e EventState, now time.Time, random io.Reader) *Event {
	return newEvent(e, "user\x00"+e.UserID.String(), now, random)
}

// NewAnonymousEvent returns an event about a name or a passkey without an account. Such events share 256 entries per kind, reason
// and day: their number is limited, and few concurrent ones update the same row.
func NewAnonymousEvent(e EventState, subject LockoutSubject, now time.Time, random io.Reader) *Event {
	return newEvent(e, "nameless\x00"+string(subject[:1]), now, random)
}

func newEvent(e EventState, scope string, now time.Time, random io.Reader) *Event {
	e.ID, e.At = NewEventID(now, random), now
	if e.Actor == "" {
		e.Actor = ActorUser
	}
	e.Key, e.Repeats, e.LastAt, e.OtherIPs = RepetitionKey{}, 0, time.Time{}, nil
	if e.Kind.Repeatable() {
		e.Key = e.repetitionKey(scope)
	}
	return RestoreEvent(e)
}

func (s EventState) repetitionKey(scope string) RepetitionKey {
	parts := []string{scope, string(s.Kind), s.Reason, s.At.UTC().Format(time.DateOnly)}
	if s.Kind == EventPasskeyFlagged {
		// Only the holder of a copied key causes this event. Each passkey gets an entry and a notification of its own.
		parts = append(parts, string(s.CredentialID))
	}
	digest := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return RepetitionKey(digest[:len(RepetitionKey{})])
}

// AddRepetition counts another event with the same key in this entry. It removes the passkey and the session if the other event has
// different ones. The device and the request id remain those of the first event.
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

// Count returns how often the event happened.
func (e *Event) Count() int { return e.state.Repeats + 1 }

// LastAt returns the time of the latest repetition, or of the event if there is none.
func (e *Event) LastAt() time.Time {
	if e.state.LastAt.IsZero() {
		return e.state.At
	}
	return e.state.LastAt
}

// IPs returns the known IP addresses of the event's clients, in the order of their first appearance, at most ten.
func (e *Event) IPs() []string {
	if e.state.IP == "" {
		return slices.Clone(e.state.OtherIPs)
	}
	return append([]string{e.state.IP}, e.state.OtherIPs...)
}

// RestoreEvent returns the event with the given state.
func RestoreEvent(s EventState) *Event { return &Event{s.clone()} }

// State returns a copy of the state, for storage.
func (e *Event) State() EventState { return e.state.clone() }

// WithIDAfter returns the event with an id that sorts after last: its own id, or else the one that follows last (RFC 9562,
// section 6.2, method 2). With it, events of the same millisecond sort in the order in which they were recorded.
func (e *Event) WithIDAfter(last EventID) *Event {
	s := e.State()
	if s.ID.After(last) {
		return e
	}
	s.ID = last
	for i := len(s.ID.uuid) - 1; i > 8; i-- { // these 56 bits never overflow in practice
		if s.ID.uuid[i]++; s.ID.uuid[i] != 0 {
			break
		}
	}
	return &Event{s}
}

func (e *Event) ID() EventID     { return e.state.ID }
func (e *Event) UserID() UserID  { return e.state.UserID }
func (e *Event) Kind() EventKind { return e.state.Kind }

// Key returns the repetition key; zero for an event that is not repeatable.
func (e *Event) Key() RepetitionKey { return e.state.Key }

func (s EventState) clone() EventState {
	s.Changed = slices.Clone(s.Changed)
	s.OtherIPs = slices.Clone(s.OtherIPs)
	return s
}
