package transfer

import (
	"encoding/base64"
	"fmt"
	"time"

	"github.com/keylodge/keylodge/application/timestamp"
	"github.com/keylodge/keylodge/domain"
)

// binary is written in unpadded base64url. Nothing and none are the same.
type binary []byte

func (b binary) MarshalText() ([]byte, error) { return base64.RawURLEncoding.AppendEncode(nil, b), nil }

func (b *binary) UnmarshalText(text []byte) (err error) {
	*b, err = base64.RawURLEncoding.Strict().AppendDecode(nil, text)
	return err
}

func binaryOf(b []byte) binary {
	if len(b) == 0 {
		return nil
	}
	return b
}

// digest is 32 bytes, written likewise.
type digest [32]byte

func (d digest) MarshalText() ([]byte, error)     { return binary(d[:]).MarshalText() }
func (d *digest) UnmarshalText(text []byte) error { return fill(d[:], text) }

// aaguid is 16 bytes, written likewise.
type aaguid [16]byte

func (a aaguid) MarshalText() ([]byte, error)     { return binary(a[:]).MarshalText() }
func (a *aaguid) UnmarshalText(text []byte) error { return fill(a[:], text) }

// repetitionKey is 16 bytes, written likewise.
type repetitionKey [16]byte

func (k repetitionKey) MarshalText() ([]byte, error)     { return binary(k[:]).MarshalText() }
func (k *repetitionKey) UnmarshalText(text []byte) error { return fill(k[:], text) }

func fill(array, text []byte) error {
	var b binary
	if err := b.UnmarshalText(text); err != nil {
		return err
	}
	if copy(array, b) != len(array) || len(b) != len(array) {
		return fmt.Errorf("%d bytes where %d belong", len(b), len(array))
	}
	return nil
}

// jsonTime is a time.
type jsonTime = timestamp.Time

func jsonTimeOf(t time.Time) jsonTime { return timestamp.Of(t) }

// Ids are written as everywhere.
type (
	userID        struct{ domain.UserID }
	sessionID     struct{ domain.SessionID }
	eventID       struct{ domain.EventID }
	outboxEmailID struct{ domain.OutboxEmailID }
)

func (id userID) MarshalText() ([]byte, error)        { return []byte(id.String()), nil }
func (id sessionID) MarshalText() ([]byte, error)     { return []byte(id.String()), nil }
func (id eventID) MarshalText() ([]byte, error)       { return []byte(id.String()), nil }
func (id outboxEmailID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

func (id *userID) UnmarshalText(text []byte) (err error) {
	id.UserID, err = domain.ParseUserID(string(text))
	return err
}

func (id *sessionID) UnmarshalText(text []byte) (err error) {
	id.SessionID, err = domain.ParseSessionID(string(text))
	return err
}

func (id *eventID) UnmarshalText(text []byte) (err error) {
	id.EventID, err = domain.ParseEventID(string(text))
	return err
}

func (id *outboxEmailID) UnmarshalText(text []byte) (err error) {
	id.OutboxEmailID, err = domain.ParseOutboxEmailID(string(text))
	return err
}

// nilIfEmpty is nil for an empty list.
func nilIfEmpty[T any](list []T) []T {
	if len(list) == 0 {
		return nil
	}
	return list
}

func mapSlice[T, U any](list []T, turn func(T) U) []U {
	if len(list) == 0 {
		return nil
	}
	turned := make([]U, len(list))
	for i, one := range list {
		turned[i] = turn(one)
	}
	return turned
}
