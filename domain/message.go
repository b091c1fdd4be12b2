package domain

import (
	"errors"
	"io"
	"slices"
	"time"
)

// Message is mail that waits to be sent.
type Message struct{ state MessageSnapshot }

// MessageSnapshot is a message's state as storage keeps it: facts, from which a letter is worded when it is sent.
type MessageSnapshot struct {
	ID        MessageID
	UserID    UserID // zero if it outlives its user
	To        Email
	Kind      MessageKind
	About     MessageFacts
	Code      []byte // sealed; nil but for MessageEmailCode
	Attempts  int
	DueAt     time.Time // when it may be tried (again)
	ExpiresAt time.Time // when it is of no use any more
}

// MessageFacts are what a letter tells. What does not apply is zero.
type MessageFacts struct {
	At          time.Time
	By          Party
	PasskeyName PasskeyName
	DeviceName  string
	IP          string
}

// MessageKind says what a letter is about. Notices are named for their event.
type MessageKind string

const (
	MessageEmailCode          MessageKind = "email_code"    // proves an address
	MessageAddressTaken       MessageKind = "address_taken" // somebody claimed an address that has an account
	MessageEmailChanged       MessageKind = "email_changed" // to the former address
	MessageEmailRemoved       MessageKind = "email_removed"
	MessageAccountDeleted     MessageKind = MessageKind(EventAccountDeleted)
	MessagePasskeyAdded       MessageKind = MessageKind(EventPasskeyAdded)
	MessagePasskeyRemoved     MessageKind = MessageKind(EventPasskeyRemoved)
	MessagePasskeyFlagged     MessageKind = MessageKind(EventPasskeyFlagged)
	MessagePasskeySuspended   MessageKind = MessageKind(EventPasskeySuspended)
	MessageRecoveryGranted    MessageKind = MessageKind(EventRecoveryGranted)
	MessageRecovered          MessageKind = MessageKind(EventRecovered)
	MessageRecoveryClosed     MessageKind = MessageKind(EventRecoveryClosed)
	MessageTOTPAdded          MessageKind = MessageKind(EventTOTPAdded)
	MessageTOTPRemoved        MessageKind = MessageKind(EventTOTPRemoved)
	MessageBackupCodesMade    MessageKind = MessageKind(EventBackupCodesMade)
	MessageRefreshTokenReused MessageKind = MessageKind(EventRefreshTokenReused)
)

// NoticeOf says by which notice an account's owner is told of an event, if it is one of those that change who can open the
// account, or that show that somebody tries to.
func NoticeOf(kind EventKind) (MessageKind, bool) {
	switch notice := MessageKind(kind); notice {
	case MessagePasskeyAdded, MessagePasskeyRemoved, MessagePasskeyFlagged, MessagePasskeySuspended,
		MessageRecoveryGranted, MessageRecovered, MessageRecoveryClosed,
		MessageTOTPAdded, MessageTOTPRemoved, MessageBackupCodesMade,
		MessageRefreshTokenReused:
		return notice, true
	}
	return "", false
}

// noticeTTL is how long a notice is worth delivering: as long as mail servers commonly try (RFC 5321, section 4.5.4.1).
const noticeTTL = 4 * 24 * time.Hour

// NewNotice tells whoever reads at the address of an event. A zero owner is for a message that outlives its user.
func NewNotice(to Email, owner UserID, kind MessageKind, of EventSnapshot, now time.Time, random io.Reader) (*Message, error) {
	id, err := NewMessageID(now, random)
	if err != nil {
		return nil, err
	}
	return &Message{MessageSnapshot{
		ID: id, UserID: owner, To: to, Kind: kind, DueAt: now, ExpiresAt: now.Add(noticeTTL),
		About: MessageFacts{At: of.At, By: of.By, PasskeyName: of.PasskeyName, DeviceName: of.DeviceName, IP: of.IP},
	}}, nil
}

// RestoreMessage is storage's way back from a snapshot.
func RestoreMessage(s MessageSnapshot) *Message { return &Message{s.clone()} }

// Snapshot is storage's way in.
func (m *Message) Snapshot() MessageSnapshot { return m.state.clone() }

func (s MessageSnapshot) clone() MessageSnapshot {
	s.Code = slices.Clone(s.Code)
	return s
}

func (m *Message) ID() MessageID { return m.state.ID }

// sendingTTL is how long one attempt may take. A server that stops in the middle of it leaves the message to the next one.
const sendingTTL = 5 * time.Minute

// Attempt counts a try to send the message, and keeps everybody else from trying meanwhile.
func (m *Message) Attempt(now time.Time) {
	m.state.Attempts++
	m.state.DueAt = now.Add(sendingTTL)
}

const (
	firstRetry   = 30 * time.Second
	longestRetry = time.Hour
)

// Postpone puts the next try off after one that failed: by half a minute, doubled each time, up to an hour. It returns false
// if the message would be of no use by then.
func (m *Message) Postpone(now time.Time) bool {
	wait := longestRetry
	if doublings := m.state.Attempts - 1; doublings < 7 { // 2^7 half minutes are more than an hour
		wait = min(firstRetry<<max(doublings, 0), longestRetry)
	}
	m.state.DueAt = now.Add(wait)
	return m.state.DueAt.Before(m.state.ExpiresAt)
}

// ErrUndeliverable says that no mail server will ever take a message for its recipient.
var ErrUndeliverable = errors.New("undeliverable")

// MailPolicy says whether the server sends mail.
type MailPolicy bool

const (
	MailOff MailPolicy = false
	MailOn  MailPolicy = true
)

// On returns ErrMailOff where no mail is sent.
func (p MailPolicy) On() error {
	if !p {
		return ErrMailOff
	}
	return nil
}
