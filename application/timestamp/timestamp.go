// Package timestamp encodes times in the form that API responses, exports and the output of the command line share.
package timestamp

import "time"

// Time is a time in JSON: RFC 3339 in UTC with six fractional digits, the precision of the stores. The number of digits does not
// depend on the value, because some parsers accept three or six digits only.
type Time time.Time

const layout = "2006-01-02T15:04:05.000000Z"

// Of returns t in UTC.
func Of(t time.Time) Time { return Time(t.UTC()) }

// Optional returns nil, which JSON writes as null, for the zero time.
func Optional(t time.Time) *Time {
	if t.IsZero() {
		return nil
	}
	of := Of(t)
	return &of
}

// MarshalText encodes t, truncated to the microsecond.
//
// Time has no MarshalJSON: encoding/json would parse and copy its result, which takes as long as encoding the rest of a session.
func (t Time) MarshalText() ([]byte, error) {
	return time.Time(t).UTC().AppendFormat(make([]byte, 0, len(layout)), layout), nil
}

// UnmarshalJSON decodes the form of MarshalText. It rejects every other form, also null, which UnmarshalText would not receive.
func (t *Time) UnmarshalJSON(text []byte) error {
	parsed, err := time.Parse(`"`+layout+`"`, string(text))
	*t = Time(parsed)
	return err
}
