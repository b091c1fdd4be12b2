// Package timestamp writes times in the one form that answers, exports and documents of the command line have.
package timestamp

import "time"

// Time is a time in JSON: RFC 3339 in UTC with six digits of a second, which is what stores keep. The number of digits never
// depends on the value, since some parsers read three or six digits and no other number.
type Time struct{ time.Time }

const layout = `"2006-01-02T15:04:05.000000Z"`

// Of returns t in UTC.
func Of(t time.Time) Time { return Time{t.UTC()} }

// Optional returns nil, which JSON writes as null, for the zero time.
func Optional(t time.Time) *Time {
	if t.IsZero() {
		return nil
	}
	of := Of(t)
	return &of
}

// MarshalJSON writes t, cut to the microsecond.
func (t Time) MarshalJSON() ([]byte, error) { return t.UTC().AppendFormat(nil, layout), nil }

// UnmarshalJSON reads what MarshalJSON writes, and no other form.
func (t *Time) UnmarshalJSON(text []byte) (err error) {
	t.Time, err = time.Parse(layout, string(text))
	return err
}
