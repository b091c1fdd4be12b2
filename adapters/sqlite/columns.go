package sqlite

import (
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

// listText holds a list of strings as a JSON array.
func listText(list []string) (string, error) {
	if list == nil {
		return "[]", nil
	}
	text, err := json.Marshal(list)
	return string(text), err
}

func listOf(text string) ([]string, error) {
	var list []string
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		return nil, fmt.Errorf("%q is not a list of strings: %w", text, err)
	}
	if len(list) == 0 {
		return nil, nil
	}
	return list, nil
}

// fixedBytes fills an array from a column that holds exactly so many bytes.
func fixedBytes(array, column []byte) error {
	if len(column) != len(array) {
		return fmt.Errorf("%d bytes where %d belong", len(column), len(array))
	}
	copy(array, column)
	return nil
}
