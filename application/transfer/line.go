package transfer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
)

// line is one line of a file: an object with one member, which says what it holds.
type line struct {
	Export       *header       `json:"export,omitempty"`
	SigningKey   *signingKey   `json:"signing_key,omitempty"`
	Lockout      *lockout      `json:"lockout,omitempty"`
	User         *user         `json:"user,omitempty"`
	Events       *events       `json:"events,omitempty"`
	OutboxEmails *outboxEmails `json:"messages,omitempty"`
	End          *end          `json:"end,omitempty"`
}

const (
	formatName    = "keylodge"
	formatVersion = 1

	// maxLineLength bounds what a reader has to hold at once. No line that is written is longer.
	maxLineLength = 64 << 20
)

// header is the first line.
type header struct {
	Format  string   `json:"format"`
	Version int      `json:"version"`
	At      jsonTime `json:"at"`      // the sessions that lasted then are in the file
	Secrets []binary `json:"secrets"` // fingerprints, the present one's first
	Users   int      `json:"users"`   // as many as there were when it began
}

// end is the last line. Without it a file is cut short.
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
	case l.OutboxEmails != nil:
		c.OutboxEmails = len(l.OutboxEmails.List)
	}
	return c
}

// encode writes a line, with its line feed. What would not be read back as it is, say text that is not UTF-8, is an error:
// nothing gets lost in silence.
func (l line) encode() ([]byte, error) {
	text, err := l.text()
	if err != nil {
		return nil, err
	}
	if len(text) > maxLineLength {
		return nil, fmt.Errorf("a line of %d bytes, and %d are the most", len(text), maxLineLength)
	}
	back, err := parse(text)
	if err != nil {
		return nil, err
	}
	if !reflect.DeepEqual(back, l) {
		return nil, errors.New("something in the database would not come back as it is, say a text that is not UTF-8")
	}
	return text, nil
}

func (l line) text() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(l); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// decode reads a line that encode has written, and no other: not one with a member that is unknown, missing or there twice.
func decode(text []byte) (line, error) {
	l, err := parse(text)
	if err != nil {
		return line{}, err
	}
	if members := l.members(); members != 1 {
		return line{}, fmt.Errorf("it holds %d things, and one belongs there", members)
	}
	again, err := l.text()
	if err != nil {
		return line{}, err
	}
	if !bytes.Equal(again, text) {
		return line{}, errors.New("it is not written as Keylodge writes it")
	}
	return l, nil
}

func parse(text []byte) (l line, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&l); err != nil {
		return line{}, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return line{}, errors.New("there is more than one object in it")
	}
	return l, nil
}

func (l line) members() (n int) {
	for _, member := range reflect.ValueOf(l).Fields() {
		if !member.IsNil() {
			n++
		}
	}
	return n
}
