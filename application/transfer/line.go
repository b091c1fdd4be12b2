package transfer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"sync"
	"time"

	"github.com/keylodge/keylodge/domain"
)

// line is one line of a file: an object with one member, which names the kind of the line.
type line struct {
	Export       *header                 `json:"export,omitempty"`
	SigningKey   *domain.SigningKeyState `json:"signing_key,omitempty"`
	Lockout      *domain.LockoutState    `json:"lockout,omitempty"`
	User         *user                   `json:"user,omitempty"`
	Events       *events                 `json:"events,omitempty"`
	Invite       *domain.InviteState     `json:"invite,omitempty"`
	OutboxEmails *outboxEmails           `json:"outbox_emails,omitempty"`
	End          *end                    `json:"end,omitempty"`
}

const (
	formatName    = "keylodge"
	formatVersion = 1

	// maxLineLength bounds the memory of a reader. No line that is written is longer.
	maxLineLength = 64 << 20

	eventsPerLine = 500
	emailsPerLine = 500
)

// header is the first line.
type header struct {
	Format  string    `json:"format"`
	Version int       `json:"version"`
	At      time.Time `json:"at"`      // the sessions that were active then are in the file
	Secrets []binary  `json:"secrets"` // fingerprints, the present one's first
	Users   int       `json:"users"`   // the number of users when the export began
}

// user is a user with all their data. It has the latest eventsPerLine events; earlier ones follow in lines of their own.
type user struct {
	domain.UserState
	Passkeys    []passkey             `json:"passkeys,omitempty"` // oldest first
	Sessions    []domain.SessionState `json:"sessions,omitempty"` // newest first
	TOTP        *domain.TOTPState     `json:"totp,omitempty"`
	BackupCodes *backupCodes          `json:"backup_codes,omitempty"`
	Events      []domain.EventState   `json:"events,omitempty"` // newest first
}

type passkey struct {
	domain.CredentialState
	Attestation domain.Attestation `json:"attestation"`
}

type backupCodes struct {
	GeneratedAt time.Time                 `json:"generated_at"`
	Unused      []domain.BackupCodeDigest `json:"unused,omitempty"` // in ascending order
}

// events are events that do not fit into the line of their user, or events of deleted users.
type events struct {
	UserID domain.UserID       `json:"user,omitzero"`   // zero for those of deleted users
	Before domain.EventID      `json:"before,omitzero"` // the event that follows the first of the list; zero if there is none
	List   []domain.EventState `json:"list"`            // newest first
}

// outboxEmails are e-mails that are to be sent.
type outboxEmails struct {
	After domain.OutboxEmailID      `json:"after,omitzero"` // the e-mail before the first of the list
	List  []domain.OutboxEmailState `json:"list"`           // by id
}

// end is the last line. A file without it is truncated.
type end struct {
	Counts
	MAC digest `json:"mac"` // HMAC-SHA-256 of all lines before, with their line feeds
}

func (l line) counts() (c Counts) {
	switch {
	case l.SigningKey != nil:
		c.SigningKeys = 1
	case l.Lockout != nil:
		c.Lockouts = 1
	case l.User != nil:
		c.Users, c.Passkeys, c.Sessions, c.Events = 1, len(l.User.Passkeys), len(l.User.Sessions), len(l.User.Events)
	case l.Events != nil:
		c.Events = len(l.Events.List)
	case l.Invite != nil:
		c.Invites = 1
	case l.OutboxEmails != nil:
		c.OutboxEmails = len(l.OutboxEmails.List)
	}
	return c
}

var wireLine = sync.OnceValue(func() reflect.Type { return wireType(reflect.TypeFor[line]()) })

func (l line) wire() reflect.Value {
	w := reflect.New(wireLine()).Elem()
	copyValue(w, reflect.ValueOf(l))
	return w
}

// encode returns a line with its line feed. It fails if the line would be read back differently, for example because a text
// is not UTF-8.
func (l line) encode() ([]byte, error) {
	w := l.wire()
	text, err := marshal(w)
	if err != nil {
		return nil, err
	}
	if len(text) > maxLineLength {
		return nil, fmt.Errorf("a line has %d bytes, the maximum is %d", len(text), maxLineLength)
	}
	decoded, err := unmarshal(text)
	if err != nil {
		return nil, err
	}
	if !reflect.DeepEqual(decoded.Interface(), w.Interface()) {
		return nil, errors.New("a value in the database cannot be exported without loss, for example a text that is not UTF-8")
	}
	return text, nil
}

// decode reads a line that encode has written. It rejects every other encoding of it, and unknown, missing and duplicate
// members.
func decode(text []byte) (l line, err error) {
	w, err := unmarshal(text)
	if err != nil {
		return line{}, err
	}
	copyValue(reflect.ValueOf(&l).Elem(), w)
	if n := l.members(); n != 1 {
		return line{}, fmt.Errorf("expected exactly one member, found %d", n)
	}
	again, err := marshal(w)
	if err != nil {
		return line{}, err
	}
	if !bytes.Equal(again, text) {
		return line{}, errors.New("it is not in the form that Keylodge writes")
	}
	return l, nil
}

// same reports whether two lines are written alike.
func same(a, b line) bool { return reflect.DeepEqual(a.wire().Interface(), b.wire().Interface()) }

func marshal(w reflect.Value) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(w.Interface())
	return b.Bytes(), err
}

func unmarshal(text []byte) (reflect.Value, error) {
	w := reflect.New(wireLine())
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(w.Interface()); err != nil {
		return w, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return w, errors.New("more than one object in a line")
	}
	return w.Elem(), nil
}

func (l line) members() (n int) {
	for _, member := range reflect.ValueOf(l).Fields() {
		if !member.IsNil() {
			n++
		}
	}
	return n
}
