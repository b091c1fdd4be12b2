// Package timestamp encodes times in the form that API responses, exports and the output of the command line share.
package timestamp

import "time"

// Time is a time in JSON: RFC 3339 in UTC with six fractional digits, the precision of the stores. The number of digits does not
// depend on the value, because some parsers accept three or six digits only.
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

// MarshalJSON encodes t, truncated to the microsecond.
func (t Time) MarshalJSON() ([]byte, error) {
	return t.UTC().AppendFormat(make([]byte, 0, len(layout)), layout), nil
}

// UnmarshalJSON decodes the form of MarshalJSON. It rejects every other form.
func (t *Time) UnmarshalJSON(text []byte) (err error) {
	t.Time, err = time.Parse(layout, string(text))
	return err
}
