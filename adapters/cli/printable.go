package cli

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
)

// printable makes a line safe for a terminal, whoever chose what stands in it. Escape sequences would command the terminal,
// line breaks forge further lines, and bidirectional marks show one thing as another (Unicode TR 36, 2.5): each such
// character is shown as Go would write it in a string.
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

// printableJSON does so for a JSON text, losing nothing: whatever is not harmless can only stand in a string, except for
// the line breaks between its parts.
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

// isSafeRune characters are drawn, or are the joiners that some scripts and emoji need between characters that are.
func isSafeRune(r rune) bool {
	const zeroWidthNonJoiner, zeroWidthJoiner = '\u200c', '\u200d'
	return unicode.IsGraphic(r) || r == zeroWidthNonJoiner || r == zeroWidthJoiner
}
