package domain

import (
	"errors"
	"io"
	"slices"
	"time"
)

// OutboxEmail is an e-mail that is stored to be sent.
type OutboxEmail struct{ state OutboxEmailState }

// OutboxEmailState is the state of an e-mail as it is stored: facts, from which the text is written when it is sent.
type OutboxEmailState struct {
	ID        OutboxEmailID `export:"id"`
	UserID    UserID        `export:"user,omitzero"` // zero if the e-mail outlives its user
	To        Email         `export:"to"`
	Locale    Locale        `export:"locale,omitempty"` // of the recipient; "" if they have none
	Kind      EmailKind     `export:"kind"`
	Details   EmailDetails  `export:"details"`
	Code      []byte        `export:"code,omitempty"` // encrypted; only of EmailKindVerificationCode
	Attempts  int           `export:"attempts"`
	DueAt     time.Time     `export:"due_at"`     // the time of the next attempt
	ExpiresAt time.Time     `export:"expires_at"` // after this time it is deleted unsent
}

// EmailDetails are the facts of an e-mail. Fields that do not apply are zero.
type EmailDetails struct {
	At          time.Time   `export:"at,omitzero"`
	Actor       Actor       `export:"actor,omitempty"`
	PasskeyName PasskeyName `export:"passkey_name,omitempty"`
	DeviceName  string      `export:"device_name,omitempty"`
	IP          string      `export:"ip,omitempty"`
}

// EmailKind is the subject of an e-mail. A notification has the name of its event.
type EmailKind string

const (
	EmailKindVerificationCode        EmailKind = "email_code"    // verifies an address
	EmailKindAddressTaken            EmailKind = "address_taken" // another user requested the address of an account
	EmailKindAddressChanged          EmailKind = "email_changed" // to the previous address
	EmailKindAddressRemoved          EmailKind = "email_removed"
	EmailKindAccountDeleted          EmailKind = EmailKind(EventAccountDeleted)
	EmailKindPasskeyAdded            EmailKind = EmailKind(EventPasskeyAdded)
	EmailKindPasskeyRemoved          EmailKind = EmailKind(EventPasskeyRemoved)
	EmailKindPasskeyFlagged          EmailKind = EmailKind(EventPasskeyFlagged)
	EmailKindPasskeySuspended        EmailKind = EmailKind(EventPasskeySuspended)
	EmailKindRecoveryGranted         EmailKind = EmailKind(EventRecoveryGranted)
	EmailKindRecovered               EmailKind = EmailKind(EventRecovered)
	EmailKindRecoveryLocked          EmailKind = EmailKind(EventRecoveryLocked)
	EmailKindTOTPAdded               EmailKind = EmailKind(EventTOTPAdded)
	EmailKindTOTPRemoved             EmailKind = EmailKind(EventTOTPRemoved)
	EmailKindBackupCodesGenerated    EmailKind = EmailKind(EventBackupCodesGenerated)
	EmailKindRefreshTokenReused      EmailKind = EmailKind(EventRefreshTokenReused)
	EmailKindAuthorizationCodeReused EmailKind = EmailKind(EventAuthorizationCodeReused)
)

// EmailKinds are all kinds of e-mails.
var EmailKinds = []EmailKind{
	EmailKindVerificationCode, EmailKindAddressTaken, EmailKindAddressChanged, EmailKindAddressRemoved, EmailKindAccountDeleted,
	EmailKindPasskeyAdded, EmailKindPasskeyRemoved, EmailKindPasskeyFlagged, EmailKindPasskeySuspended,
	EmailKindRecoveryGranted, EmailKindRecovered, EmailKindRecoveryLocked,
	EmailKindTOTPAdded, EmailKindTOTPRemoved, EmailKindBackupCodesGenerated, EmailKindRefreshTokenReused, EmailKindAuthorizationCodeReused,
}

// NotificationKind returns the kind of the e-mail that notifies an account's owner of an event. It returns false unless the event
// changes who can sign in, or indicates an attack.
func NotificationKind(kind EventKind) (EmailKind, bool) {
	switch notification := EmailKind(kind); notification {
	case EmailKindPasskeyAdded, EmailKindPasskeyRemoved, EmailKindPasskeyFlagged, EmailKindPasskeySuspended,
		EmailKindRecoveryGranted, EmailKindRecovered, EmailKindRecoveryLocked,
		EmailKindTOTPAdded, EmailKindTOTPRemoved, EmailKindBackupCodesGenerated,
		EmailKindRefreshTokenReused, EmailKindAuthorizationCodeReused:
		return notification, true
	}
	return "", false
}

// notificationTTL is how long delivery is attempted, as mail servers do (RFC 5321, section 4.5.4.1: at least 4 to 5 days).
const notificationTTL = 4 * 24 * time.Hour

// NewNotificationEmail returns the e-mail about an event to an address, in the recipient's language. The owner is zero if the e-mail
// outlives its user.
func NewNotificationEmail(to Email, locale Locale, owner UserID, kind EmailKind, of EventState, now time.Time, random io.Reader) *OutboxEmail {
	return &OutboxEmail{OutboxEmailState{
		ID: NewOutboxEmailID(now, random), UserID: owner, To: to, Locale: locale, Kind: kind, DueAt: now, ExpiresAt: now.Add(notificationTTL),
		Details: EmailDetails{At: of.At, Actor: of.Actor, PasskeyName: of.PasskeyName, DeviceName: of.DeviceName, IP: of.IP},
	}}
}

// RestoreOutboxEmail returns the e-mail with the given state.
func RestoreOutboxEmail(s OutboxEmailState) *OutboxEmail { return &OutboxEmail{s.clone()} }

// State returns a copy of the state, for storage.
func (e *OutboxEmail) State() OutboxEmailState { return e.state.clone() }

func (s OutboxEmailState) clone() OutboxEmailState {
	s.Code = slices.Clone(s.Code)
	return s
}

func (e *OutboxEmail) ID() OutboxEmailID { return e.state.ID }

// attemptTimeout is how long one attempt may take. After it another node may try, if the first one has stopped.
const attemptTimeout = 5 * time.Minute

// BeginAttempt counts an attempt to send the e-mail and puts off the next one, so that no other node tries at the same time.
func (e *OutboxEmail) BeginAttempt(now time.Time) {
	e.state.Attempts++
	e.state.DueAt = now.Add(attemptTimeout)
}

const (
	initialRetryDelay = 30 * time.Second
	maxRetryDelay     = time.Hour
)

// ScheduleRetry sets the time of the next attempt after a failed one: in 30 seconds, doubled each time, up to an hour. It returns
// false if the e-mail expires before.
func (e *OutboxEmail) ScheduleRetry(now time.Time) bool {
	delay := maxRetryDelay
	if doublings := e.state.Attempts - 1; doublings < 7 { // initialRetryDelay<<7 exceeds maxRetryDelay
		delay = min(initialRetryDelay<<max(doublings, 0), maxRetryDelay)
	}
	e.state.DueAt = now.Add(delay)
	return e.state.DueAt.Before(e.state.ExpiresAt)
}

// ErrUndeliverable means that no attempt to send an e-mail to its recipient can succeed.
var ErrUndeliverable = errors.New("undeliverable")

// EmailPolicy says whether the server sends e-mail.
type EmailPolicy bool

const (
	EmailOff EmailPolicy = false
	EmailOn  EmailPolicy = true
)

// Enabled reports whether the server sends e-mail.
func (p EmailPolicy) Enabled() bool { return p == EmailOn }

// RequireEnabled returns ErrEmailOff if the server sends no e-mail.
func (p EmailPolicy) RequireEnabled() error {
	if !p.Enabled() {
		return ErrEmailOff
	}
	return nil
}
