package domain

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// DisplayName is the name that a user has chosen. The zero value is no name.
type DisplayName string

// PasskeyName is the name that a user has given to a passkey. The zero value is no name.
type PasskeyName string

const (
	maxNameLength   = 64 // code points
	maxStackedMarks = 4  // nonspacing marks on one character (Unicode UTS 39, section 5.4)
)

// ParseDisplayName trims and checks a name: up to 64 code points, one line, visible, and without characters that imitate another
// name. The caller passes it in Unicode Normalization Form C. ParseDisplayName returns an *InvalidInput for the given field of the
// request.
func ParseDisplayName(field, s string) (DisplayName, error) {
	name, err := parseName(field, s)
	return DisplayName(name), err
}

// ParsePasskeyName is ParseDisplayName for the name of a passkey.
func ParsePasskeyName(field, s string) (PasskeyName, error) {
	name, err := parseName(field, s)
	return PasskeyName(name), err
}

// parseName trims white space and invisible format characters, which a pasted name may contain, and checks the rest by checkName. It
// returns "" for white space only.
func parseName(field, s string) (string, error) {
	if !utf8.ValidString(s) {
		return "", Invalid(field, "invalid_name", "a name must be valid UTF-8")
	}
	if s = strings.TrimSpace(s); s == "" {
		return "", nil
	}
	s = strings.TrimFunc(s, func(r rune) bool { return unicode.IsSpace(r) || isBlank(r) || isFormat(r) && !isTag(r) })
	switch problem := checkName(s); {
	case s == "":
		return "", Invalid(field, "invalid_name", "a name needs a visible character")
	case utf8.RuneCountInString(s) > maxNameLength:
		return "", Invalid(field, "too_long", "a name has at most 64 characters")
	case problem != "":
		return "", Invalid(field, "invalid_name", problem)
	}
	return s, nil
}

// checkName returns the error text for an invalid trimmed name, or "". Control and format characters break lists and logs, and make
// one name look like another (Unicode TR 36, section 2.5). Invisible characters are valid only where a script or an emoji requires
// them: combining marks, variation selectors, joiners between two characters, and the tags of a flag.
func checkName(s string) string {
	const ordinary = "a name is one line of ordinary characters"
	runes := []rune(s)
	var base rune // the character that marks and selectors belong to; 0 after white space and at the start
	stacked := 0
	for i, r := range runes {
		switch {
		case isJoiner(r):
			last := i+1 == len(runes)
			if base < utf8.RuneSelf || isJoiner(runes[i-1]) || last || !canJoin(runes[i+1]) || unicode.In(base, unicode.Latin, unicode.Greek, unicode.Cyrillic) {
				return "a joiner in a name stands between two characters of a script that joins, or of an emoji; remove it"
			}
		case unicode.Is(unicode.Variation_Selector, r):
			if i == 0 || runes[i-1] != base || !takesSelector(base, r) {
				return "a variation selector in a name follows the character that it changes; remove it"
			}
		case isTag(r):
			if base != blackFlag {
				return ordinary + "; remove the invisible ones"
			}
		case unicode.IsMark(r) && !isIgnorable(r):
			if base == 0 {
				return "a combining mark in a name follows the character that it belongs to"
			}
			if unicode.In(r, unicode.Mn, unicode.Me) {
				stacked++
			}
			if stacked > maxStackedMarks {
				return "a name has at most 4 combining marks on one character"
			}
		case unicode.IsSpace(r) && !unicode.IsControl(r) && r != '\u2028' && r != '\u2029', r == brailleBlank:
			base, stacked = 0, 0
		case unicode.IsControl(r), isFormat(r), isBlank(r), isIgnorable(r), unicode.Is(unicode.Noncharacter_Code_Point, r),
			r == '\u2028', r == '\u2029':
			return ordinary + "; remove the invisible ones"
		default:
			base, stacked = r, 0
		}
	}
	return ""
}

const (
	brailleBlank = '\u2800'     // a Braille cell without dots
	blackFlag    = '\U0001F3F4' // the flags of England, Scotland and Wales are this one and tags (Unicode UTS 51, annex C)
)

// isBlank reports whether r is of a visible category and has no visible glyph.
func isBlank(r rune) bool {
	switch r {
	case brailleBlank, '\ufffc', '\U0001D159', '\U00013441', '\U00013442':
		return true
	}
	return isIgnorable(r)
}

// isIgnorable reports whether r is ignorable, and neither a format character nor a variation selector, for example a filler of Hangul
// (Default_Ignorable_Code_Point).
func isIgnorable(r rune) bool {
	return unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r) && !unicode.Is(unicode.Variation_Selector, r)
}

// isFormat reports whether r is an invisible format character, such as a joiner, a direction mark, a soft hyphen or a tag. The number
// signs of Arabic and related scripts have the same category and are visible.
func isFormat(r rune) bool {
	return unicode.Is(unicode.Cf, r) && !unicode.Is(unicode.Prepended_Concatenation_Mark, r)
}

func isTag(r rune) bool { return '\U000E0020' <= r && r <= '\U000E007F' }

// isJoiner reports whether r is ZERO WIDTH NON-JOINER, ZERO WIDTH JOINER or MONGOLIAN VOWEL SEPARATOR.
func isJoiner(r rune) bool { return r == '\u200c' || r == '\u200d' || r == '\u180e' }

// canJoin reports whether r may follow a joiner: a visible character or a combining mark, such as the virama of some scripts.
func canJoin(r rune) bool {
	return !unicode.IsSpace(r) && !unicode.IsControl(r) && !isFormat(r) && !isBlank(r) && !unicode.Is(unicode.Variation_Selector, r)
}

// takesSelector reports whether a variation selector can change base: a selector of emoji can change a symbol, a digit or a
// punctuation mark, and other selectors can change characters of scripts that have variants.
func takesSelector(base, selector rune) bool {
	emoji := selector == '\ufe0e' || selector == '\ufe0f'
	switch {
	case base == 0:
		return false
	case !unicode.IsLetter(base):
		return true
	case emoji:
		return base == 'ℹ' || unicode.Is(unicode.Han, base)
	}
	return !unicode.In(base, unicode.Latin, unicode.Greek, unicode.Cyrillic, unicode.Arabic, unicode.Hebrew, unicode.Devanagari)
}
