// Package slug has the fragments that GitHub gives to headings.
package slug

import (
	"strings"
	"unicode"
)

// Of returns the fragment of a heading. A further heading with the same text gets a number: see the callers.
func Of(title string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || unicode.In(r, unicode.L, unicode.N):
			return unicode.ToLower(r)
		}
		return -1
	}, strings.TrimSpace(title))
}
