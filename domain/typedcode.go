package domain

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxTypedCode is the maximum length of a typed code in bytes: four times that of sixteen characters of four bytes each, since
// characters between them are ignored.
const maxTypedCode = 256

// normalizeCode normalizes a typed or pasted code: it converts digits of any script (Unicode category Nd) and full-width characters to
// ASCII, and removes white space, dashes and invisible format characters. It returns "" for more than maxTypedCode bytes and for
// invalid UTF-8. The parsers of all typed codes use it, and then check length and alphabet.
func normalizeCode(s string) string { return foldCode(s, isDash) }

// foldCode is normalizeCode with the given set of characters in place of dashes.
func foldCode(s string, drop func(r rune) bool) string {
	if len(s) > maxTypedCode || !utf8.ValidString(s) {
		return ""
	}
	return strings.Map(func(r rune) rune {
		switch digit := decimalDigit(r); {
		case unicode.IsSpace(r), isFormat(r), isBlank(r), unicode.Is(unicode.Variation_Selector, r), drop(r):
			return -1
		case digit >= 0:
			return rune("0123456789"[digit])
		case '\uff01' <= r && r <= '\uff5e': // full-width forms, in the order of ASCII
			return r - '\uff01' + '!'
		}
		return r
	}, s)
}

// isDash reports whether r is a hyphen, dash or minus sign, or a sound mark that Japanese keyboards have in the hyphen's place.
func isDash(r rune) bool {
	switch r {
	case 'ー', 'ｰ', '\u02d7', '\u2043':
		return true
	}
	return unicode.In(r, unicode.Dash, unicode.Hyphen)
}

// decimalDigit returns the value of a digit of any script, or -1. The digits of a script are ten code points in order from zero
// (Unicode, section 4.6), so that each range of category Nd begins with a zero.
func decimalDigit(r rune) int64 {
	at := int64(r)
	for _, digits := range unicode.Nd.R16 {
		if int64(digits.Lo) <= at && at <= int64(digits.Hi) {
			return (at - int64(digits.Lo)) % 10
		}
	}
	for _, digits := range unicode.Nd.R32 {
		if int64(digits.Lo) <= at && at <= int64(digits.Hi) {
			return (at - int64(digits.Lo)) % 10
		}
	}
	return -1
}
