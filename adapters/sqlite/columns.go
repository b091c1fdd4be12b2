package sqlite

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"
)

// micros is how a column holds a time: microseconds since the Unix epoch, UTC.
func micros(t time.Time) int64 { return t.UnixMicro() }

func timeOf(micros int64) time.Time { return time.UnixMicro(micros).UTC() }

// optionalMicros holds the zero time as NULL.
func optionalMicros(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	return new(micros(t))
}

func optionalTime(micros *int64) time.Time {
	if micros == nil {
		return time.Time{}
	}
	return timeOf(*micros)
}

// optionalText holds the empty string as NULL.
func optionalText[S ~string](s S) *string {
	if s == "" {
		return nil
	}
	return new(string(s))
}

func textOf(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// identifier is any of the domain's ids.
type identifier interface {
	fmt.Stringer
	IsZero() bool
}

// optionalID holds the zero id as NULL.
func optionalID(id identifier) *string {
	if id.IsZero() {
		return nil
	}
	return new(id.String())
}

func optionalIDOf[ID identifier](text *string, parse func(string) (ID, error)) (id ID, err error) {
	if text == nil {
		return id, nil
	}
	return parse(*text)
}

// upperBound is where a list begins that goes down from the id: for the zero id, above every id that a column holds.
func upperBound(id identifier) string {
	if id.IsZero() {
		return "~"
	}
	return id.String()
}

// encodeList holds a list of strings as a JSON array.
func encodeList[S ~string](list []S) (string, error) {
	if list == nil {
		return "[]", nil
	}
	text, err := json.Marshal(list)
	return string(text), err
}

func decodeList[S ~string](text string) ([]S, error) {
	var list []S
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		return nil, fmt.Errorf("%q is not a list of strings: %w", text, err)
	}
	if len(list) == 0 {
		return nil, nil
	}
	return list, nil
}

// optionalDigest holds the zero digest as NULL.
func optionalDigest[D ~[sha256.Size]byte](d D) []byte {
	var zero D
	if d == zero {
		return nil
	}
	return d[:]
}

// optionalBytes is fixedBytes for a column that may be NULL, which leaves the array as it is.
func optionalBytes(array, column []byte) error {
	if column == nil {
		return nil
	}
	return fixedBytes(array, column)
}

// fixedBytes fills an array from a column that holds exactly so many bytes.
func fixedBytes(array, column []byte) error {
	if len(column) != len(array) {
		return fmt.Errorf("%d bytes where %d belong", len(column), len(array))
	}
	copy(array, column)
	return nil
}
