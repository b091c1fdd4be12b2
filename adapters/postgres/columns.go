package postgres

import (
	"crypto/sha256"
	"fmt"
	"time"
)

// timeOf is a column's time as the domain writes times: in UTC. Columns hold microseconds.
func timeOf(t time.Time) time.Time { return t.UTC() }

// optionalTimestamp holds the zero time as NULL.
func optionalTimestamp(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func optionalTime(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return timeOf(*t)
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
		return "ffffffff-ffff-ffff-ffff-ffffffffffff"
	}
	return id.String()
}

// encodeList is a list as a column takes it: an empty one is not NULL.
func encodeList[S ~string](list []S) []string {
	texts := make([]string, len(list))
	for i, s := range list {
		texts[i] = string(s)
	}
	return texts
}

func decodeList[S ~string](texts []string) []S {
	if len(texts) == 0 {
		return nil
	}
	list := make([]S, len(texts))
	for i, text := range texts {
		list[i] = S(text)
	}
	return list
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
