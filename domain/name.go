package domain

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// DisplayName is what a person wants to be called. The zero value means that they did not say.
type DisplayName string

// PasskeyName is what a person calls one of their passkeys.
type PasskeyName string

const maxNameLength = 64 // code points

// ParseDisplayName trims and checks a name: up to 64 code points, one line, nothing invisible that could disguise it.
func ParseDisplayName(s string) (DisplayName, error) {
	name, err := parseName("display_name", s)
	return DisplayName(name), err
}

// ParsePasskeyName follows the rules of ParseDisplayName. Field is where the name stands in the request.
func ParsePasskeyName(field, s string) (PasskeyName, error) {
	name, err := parseName(field, s)
	return PasskeyName(name), err
}

func parseName(field, s string) (string, error) {
	if !utf8.ValidString(s) {
		return "", Invalid(field, "invalid_name", "a name must be valid UTF-8")
	}
	s = strings.TrimSpace(s)
	if utf8.RuneCountInString(s) > maxNameLength {
		return "", Invalid(field, "too_long", "a name has at most 64 characters")
	}
	for _, r := range s {
		// Controls break lists and logs; bidirectional marks let one name be drawn as another (Unicode TR 36, 2.5).
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029' {
			return "", Invalid(field, "invalid_name", "a name is one line of ordinary characters")
		}
	}
	return s, nil
}
