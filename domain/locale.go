package domain

import "strings"

// Locale is the language that a user has chosen, as a BCP 47 tag of a language, with a script and a region if they matter, in its
// canonical case: de, pt-BR, zh-Hant-TW. The zero value is no choice.
type Locale string

// ParseLocale parses and canonicalises a language tag; the empty string is not an error. Variants and extensions (RFC 5646, section
// 2.2.5 and later) are rejected: no text depends on them. ParseLocale returns an *InvalidInput for the given field of the request.
func ParseLocale(field, s string) (Locale, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return "", nil
	}
	subtags := strings.Split(s, "-")
	language, rest := subtags[0], subtags[1:]
	valid := isAlphabetic(language) && (len(language) == 2 || len(language) == 3)
	canonical := strings.ToLower(language)
	if len(rest) > 0 && len(rest[0]) == 4 && isAlphabetic(rest[0]) {
		canonical += "-" + strings.ToUpper(rest[0][:1]) + strings.ToLower(rest[0][1:])
		rest = rest[1:]
	}
	if len(rest) > 0 && (len(rest[0]) == 2 && isAlphabetic(rest[0]) || len(rest[0]) == 3 && strings.Trim(rest[0], "0123456789") == "") {
		canonical += "-" + strings.ToUpper(rest[0])
		rest = rest[1:]
	}
	if !valid || len(rest) > 0 {
		return "", Invalid(field, "invalid_locale", "this is not the tag of a language; write it like de or pt-BR")
	}
	return Locale(canonical), nil
}

func isAlphabetic(s string) bool {
	for i := range len(s) {
		if c := s[i] | 0x20; c < 'a' || c > 'z' {
			return false
		}
	}
	return true
}
