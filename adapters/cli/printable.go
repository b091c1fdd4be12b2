package cli

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
)

// printable makes a line safe for a terminal if users chose parts of it. Escape sequences could control the terminal, line breaks
// could forge lines, and bidirectional marks could reorder the text (Unicode TR 36, 2.5). Each such character is escaped as in a Go
// string.
func printable(line string) string {
	var b strings.Builder
	for _, r := range line {
		if isSafeRune(r) {
			b.WriteRune(r)
		} else {
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		}
	}
	return b.String()
}

// printableJSON makes a JSON text safe for a terminal without changing its meaning: unsafe characters occur only in strings, where
// they can be escaped, except for the line breaks between members.
func printableJSON(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case isSafeRune(r) || r == '\n':
			b.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// isSafeRune reports whether r is a graphic character, or a joiner, which some scripts and emoji need between characters.
func isSafeRune(r rune) bool {
	const zeroWidthNonJoiner, zeroWidthJoiner = '\u200c', '\u200d'
	return unicode.IsGraphic(r) || r == zeroWidthNonJoiner || r == zeroWidthJoiner
}
