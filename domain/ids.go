package domain

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"time"
)

// UserID identifies a user. It is not secret.
type UserID struct{ uuid }

// ChallengeID identifies a challenge. Its 74 random bits cannot be guessed, and a stolen one is useless without the binding.
type ChallengeID struct{ uuid }

// SessionID identifies a session in lists and logs. It does not authenticate: the session's token does.
type SessionID struct{ uuid }

// EventID identifies an event. Ids sort by time, to the millisecond.
type EventID struct{ uuid }

// APIKeyID identifies an API key in lists and events. It does not authenticate: the token does.
type APIKeyID struct{ uuid }

// InviteID identifies an invite in lists and events. It does not authenticate: the token does.
type InviteID struct{ uuid }

// OutboxEmailID identifies an e-mail in logs and towards mail servers, so that they can recognise one that is sent twice.
type OutboxEmailID struct{ uuid }

func NewUserID(now time.Time, random io.Reader) UserID { return UserID{newUUIDv7(now, random)} }
func NewChallengeID(now time.Time, random io.Reader) ChallengeID {
	return ChallengeID{newUUIDv7(now, random)}
}
func NewSessionID(now time.Time, random io.Reader) SessionID {
	return SessionID{newUUIDv7(now, random)}
}
func NewEventID(now time.Time, random io.Reader) EventID { return EventID{newUUIDv7(now, random)} }

// FirstEventID returns the lowest id of the millisecond: those of all earlier events sort before it.
func FirstEventID(at time.Time) EventID { return EventID{newUUIDv7(at, zeros{})} }

// zeros is a source of zeros.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// After reports whether the id sorts after the other one.
func (id EventID) After(other EventID) bool { return bytes.Compare(id.uuid[:], other.uuid[:]) > 0 }

func NewAPIKeyID(now time.Time, random io.Reader) APIKeyID { return APIKeyID{newUUIDv7(now, random)} }
func NewInviteID(now time.Time, random io.Reader) InviteID { return InviteID{newUUIDv7(now, random)} }
func NewOutboxEmailID(now time.Time, random io.Reader) OutboxEmailID {
	return OutboxEmailID{newUUIDv7(now, random)}
}

func ParseUserID(s string) (UserID, error) {
	id, err := parseUUID(s)
	return UserID{id}, err
}

func ParseChallengeID(s string) (ChallengeID, error) {
	id, err := parseUUID(s)
	return ChallengeID{id}, err
}

func ParseSessionID(s string) (SessionID, error) {
	id, err := parseUUID(s)
	return SessionID{id}, err
}

func ParseEventID(s string) (EventID, error) {
	id, err := parseUUID(s)
	return EventID{id}, err
}

func ParseAPIKeyID(s string) (APIKeyID, error) {
	id, err := parseUUID(s)
	return APIKeyID{id}, err
}

func ParseInviteID(s string) (InviteID, error) {
	id, err := parseUUID(s)
	return InviteID{id}, err
}

func ParseOutboxEmailID(s string) (OutboxEmailID, error) {
	id, err := parseUUID(s)
	return OutboxEmailID{id}, err
}

// uuid is a UUID of version 7 (RFC 9562, section 5.7): 48 bits of milliseconds, then 74 random bits. Its order is by time, so that
// an index on it grows at its end.
type uuid [16]byte

func newUUIDv7(now time.Time, random io.Reader) uuid {
	var u uuid
	readRandom(random, u[6:])
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(now.UnixMilli()))
	copy(u[:6], ms[2:])
	u[6] = u[6]&0x0f | 0x70 // version 7
	u[8] = u[8]&0x3f | 0x80 // variant of RFC 9562
	return u
}

func parseUUID(s string) (uuid, error) {
	var u uuid
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return uuid{}, fmt.Errorf("%q is not a UUID", s)
	}
	digits := s[:8] + s[9:13] + s[14:18] + s[19:23] + s[24:]
	if _, err := hex.Decode(u[:], []byte(digits)); err != nil {
		return uuid{}, fmt.Errorf("%q is not a UUID", s)
	}
	return u, nil
}

func (u uuid) IsZero() bool { return u == uuid{} }

func (u uuid) String() string {
	h := hex.EncodeToString(u[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// Time returns the time of the id, to the millisecond.
func (u uuid) Time() time.Time {
	return time.UnixMilli(int64(binary.BigEndian.Uint64(u[:8]) >> 16)).UTC()
}

// MarshalText returns the id as String does.
func (u uuid) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// UnmarshalText parses the id as the Parse functions do.
func (u *uuid) UnmarshalText(text []byte) (err error) {
	*u, err = parseUUID(string(text))
	return err
}

// CredentialID is a WebAuthn credential id: bytes chosen by the authenticator, compared exactly.
type CredentialID string

// maxCredentialIDLength is the limit of WebAuthn Level 3, section 7.1, step 25.
const maxCredentialIDLength = 1023

// NewCredentialID returns the id of raw bytes. It returns a *Rejection unless there are 1 to 1023 of them.
func NewCredentialID(raw []byte) (CredentialID, error) {
	if len(raw) == 0 || len(raw) > maxCredentialIDLength {
		return "", Reject(ReasonMalformed, fmt.Sprintf("the credential id has %d bytes; 1 to %d are allowed", len(raw), maxCredentialIDLength))
	}
	return CredentialID(raw), nil
}

func (id CredentialID) Bytes() []byte { return []byte(id) }

// String returns the id in unpadded base64url, as in WebAuthn.
func (id CredentialID) String() string { return base64.RawURLEncoding.EncodeToString([]byte(id)) }

// MarshalText returns the id as String does.
func (id CredentialID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText parses unpadded base64url.
func (id *CredentialID) UnmarshalText(text []byte) error {
	raw, err := base64.RawURLEncoding.Strict().AppendDecode(nil, text)
	*id = CredentialID(raw)
	return err
}

// UserHandle is a WebAuthn user handle: random, without personal data (WebAuthn Level 3, section 14.6.1), and separate from the
// user id. All passkeys of a user have the same one, which the Signal API requires.
type UserHandle string

const userHandleLength = 32

func NewUserHandle(random io.Reader) UserHandle {
	var raw [userHandleLength]byte
	readRandom(random, raw[:])
	return UserHandle(raw[:])
}

func (h UserHandle) Bytes() []byte { return []byte(h) }

// String returns the handle in unpadded base64url, as in WebAuthn.
func (h UserHandle) String() string { return base64.RawURLEncoding.EncodeToString([]byte(h)) }

// MarshalText returns the handle as String does.
func (h UserHandle) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText parses unpadded base64url.
func (h *UserHandle) UnmarshalText(text []byte) error {
	raw, err := base64.RawURLEncoding.Strict().AppendDecode(nil, text)
	*h = UserHandle(raw)
	return err
}
