package domain

import (
	"errors"
	"io"
	"slices"
	"time"
)

// OutboxEmail is mail that waits to be sent.
type OutboxEmail struct{ state OutboxEmailState }

// OutboxEmailState is a message's state as storage keeps it: facts, from which a letter is worded when it is sent.
type OutboxEmailState struct {
	ID        OutboxEmailID `export:"id"`
	UserID    UserID        `export:"user,omitzero"` // zero if it outlives its user
	To        Email         `export:"to"`
	Kind      EmailKind     `export:"kind"`
	Details   EmailDetails  `export:"about"`
	Code      []byte        `export:"code,omitempty"` // sealed; nil but for EmailKindVerificationCode
	Attempts  int           `export:"attempts"`
	DueAt     time.Time     `export:"due_at"`     // when it may be tried (again)
	ExpiresAt time.Time     `export:"expires_at"` // when it is of no use any more
}

// EmailDetails are what a letter tells. What does not apply is zero.
type EmailDetails struct {
	At          time.Time   `export:"at,omitzero"`
	Actor       Actor       `export:"by,omitempty"`
	PasskeyName PasskeyName `export:"passkey_name,omitempty"`
	DeviceName  string      `export:"device_name,omitempty"`
	IP          string      `export:"ip,omitempty"`
}

// EmailKind says what a letter is about. Notices are named for their event.
type EmailKind string

const (
	EmailKindVerificationCode     EmailKind = "email_code"    // proves an address
	EmailKindAddressTaken         EmailKind = "address_taken" // somebody claimed an address that has an account
	EmailKindAddressChanged       EmailKind = "email_changed" // to the former address
	EmailKindAddressRemoved       EmailKind = "email_removed"
	EmailKindAccountDeleted       EmailKind = EmailKind(EventAccountDeleted)
	EmailKindPasskeyAdded         EmailKind = EmailKind(EventPasskeyAdded)
	EmailKindPasskeyRemoved       EmailKind = EmailKind(EventPasskeyRemoved)
	EmailKindPasskeyFlagged       EmailKind = EmailKind(EventPasskeyFlagged)
	EmailKindPasskeySuspended     EmailKind = EmailKind(EventPasskeySuspended)
	EmailKindRecoveryGranted      EmailKind = EmailKind(EventRecoveryGranted)
	EmailKindRecovered            EmailKind = EmailKind(EventRecovered)
	EmailKindRecoveryLocked       EmailKind = EmailKind(EventRecoveryLocked)
	EmailKindTOTPAdded            EmailKind = EmailKind(EventTOTPAdded)
	EmailKindTOTPRemoved          EmailKind = EmailKind(EventTOTPRemoved)
	EmailKindBackupCodesGenerated EmailKind = EmailKind(EventBackupCodesGenerated)
	EmailKindRefreshTokenReused   EmailKind = EmailKind(EventRefreshTokenReused)
)

// NotificationKind says by which notice an account's owner is told of an event, if it is one of those that change who can open the
// account, or that show that somebody tries to.
func NotificationKind(kind EventKind) (EmailKind, bool) {
	switch notice := EmailKind(kind); notice {
	case EmailKindPasskeyAdded, EmailKindPasskeyRemoved, EmailKindPasskeyFlagged, EmailKindPasskeySuspended,
		EmailKindRecoveryGranted, EmailKindRecovered, EmailKindRecoveryLocked,
		EmailKindTOTPAdded, EmailKindTOTPRemoved, EmailKindBackupCodesGenerated,
		EmailKindRefreshTokenReused:
		return notice, true
	}
	return "", false
}

// notificationTTL is how long a notice is worth delivering: as long as mail servers commonly try (RFC 5321, section 4.5.4.1).
const notificationTTL = 4 * 24 * time.Hour

// NewNotificationEmail tells whoever reads at the address of an event. A zero owner is for a message that outlives its user.
func NewNotificationEmail(to Email, owner UserID, kind EmailKind, of EventState, now time.Time, random io.Reader) *OutboxEmail {
	return &OutboxEmail{OutboxEmailState{
		ID: NewOutboxEmailID(now, random), UserID: owner, To: to, Kind: kind, DueAt: now, ExpiresAt: now.Add(notificationTTL),
		Details: EmailDetails{At: of.At, Actor: of.Actor, PasskeyName: of.PasskeyName, DeviceName: of.DeviceName, IP: of.IP},
	}}
}

// RestoreOutboxEmail is storage's way back from a snapshot.
func RestoreOutboxEmail(s OutboxEmailState) *OutboxEmail { return &OutboxEmail{s.clone()} }

// State is storage's way in.
func (m *OutboxEmail) State() OutboxEmailState { return m.state.clone() }

func (s OutboxEmailState) clone() OutboxEmailState {
	s.Code = slices.Clone(s.Code)
	return s
}

func (m *OutboxEmail) ID() OutboxEmailID { return m.state.ID }

// attemptTimeout is how long one attempt may take. A server that stops in the middle of it leaves the message to the next one.
const attemptTimeout = 5 * time.Minute

// BeginAttempt counts a try to send the message, and keeps everybody else from trying meanwhile.
func (m *OutboxEmail) BeginAttempt(now time.Time) {
	m.state.Attempts++
	m.state.DueAt = now.Add(attemptTimeout)
}

const (
	initialRetryDelay = 30 * time.Second
	maxRetryDelay     = time.Hour
)

// ScheduleRetry puts the next try off after one that failed: by half a minute, doubled each time, up to an hour. It returns false
// if the message would be of no use by then.
func (m *OutboxEmail) ScheduleRetry(now time.Time) bool {
	wait := maxRetryDelay
	if doublings := m.state.Attempts - 1; doublings < 7 { // 2^7 half minutes are more than an hour
		wait = min(initialRetryDelay<<max(doublings, 0), maxRetryDelay)
	}
	m.state.DueAt = now.Add(wait)
	return m.state.DueAt.Before(m.state.ExpiresAt)
}

// ErrUndeliverable says that no mail server will ever take a message for its recipient.
var ErrUndeliverable = errors.New("undeliverable")

// EmailPolicy says whether the server sends mail.
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
