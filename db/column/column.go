// Package column contains the Go types of columns that the two databases represent differently, so that sqlc generates the same
// rows and parameters for both.
package column

import (
	"encoding/json"
	"fmt"
	"time"
)

// Time is a time in UTC with microseconds: an INTEGER of microseconds since the Unix epoch in SQLite, a timestamptz in
// PostgreSQL. The zero time is NULL.
type Time struct{ time.Time }

// Scan implements sql.Scanner.
func (t *Time) Scan(value any) error {
	switch v := value.(type) {
	case nil:
		*t = Time{}
	case int64:
		t.Time = time.UnixMicro(v).UTC()
	case time.Time:
		t.Time = v.UTC()
	default:
		return fmt.Errorf("unexpected type %T of a time column", value)
	}
	return nil
}

// Text is a text or an id that may be NULL, which is the empty string.
type Text string

// Scan implements sql.Scanner.
func (t *Text) Scan(value any) error {
	switch v := value.(type) {
	case nil:
		*t = ""
	case string:
		*t = Text(v)
	default:
		return fmt.Errorf("unexpected type %T of a text column", value)
	}
	return nil
}

// Strings is a list of strings: a JSON array in both databases, [] if it is empty.
type Strings []string

// Scan implements sql.Scanner.
func (s *Strings) Scan(value any) error {
	*s = nil
	var text []byte
	switch v := value.(type) {
	case string:
		text = []byte(v)
	case []byte:
		text = v
	default:
		return fmt.Errorf("unexpected type %T of a list column", value)
	}
	if string(text) == "[]" { // most lists are empty
		return nil
	}
	if err := json.Unmarshal(text, s); err != nil {
		return fmt.Errorf("invalid list %q: want a JSON array of strings: %w", text, err)
	}
	if len(*s) == 0 {
		*s = nil
	}
	return nil
}

// JSON returns the list as a JSON array.
func (s Strings) JSON() string {
	if len(s) == 0 {
		return "[]"
	}
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // a list of strings is always valid
	}
	return string(text)
}

// Arguments replaces the types of this package among a statement's arguments by types that a driver takes. encodeTime encodes a
// time that is not NULL.
func Arguments(arguments []any, encodeTime func(time.Time) any) []any {
	for i, argument := range arguments {
		switch a := argument.(type) {
		case Time:
			arguments[i] = nil
			if !a.IsZero() {
				arguments[i] = encodeTime(a.Time)
			}
		case Text:
			arguments[i] = nil
			if a != "" {
				arguments[i] = string(a)
			}
		case Strings:
			arguments[i] = a.JSON()
		}
	}
	return arguments
}
