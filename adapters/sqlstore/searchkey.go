package sqlstore

import (
	"strings"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/runes"
	"golang.org/x/text/transform"
	"golang.org/x/text/unicode/norm"
)

// searchKey returns a text as a search compares it: without case, accents and differences of form (Unicode Standard Annex #15, NFKD), and
// with single spaces. Both databases get the same keys, whatever they know of languages.
func searchKey(text string) string {
	words := strings.Join(strings.Fields(strings.ReplaceAll(text, "\x00", " ")), " ")
	withoutMarks := transform.Chain(norm.NFKD, runes.Remove(runes.In(unicode.Mn)), norm.NFC)
	key, _, err := transform.String(withoutMarks, cases.Fold().String(words))
	if err != nil { // these transformations accept every text
		return ""
	}
	return strings.ToValidUTF8(key, "")
}

// lastWord returns the last word of a key with several words, usually the surname; "" for a single word.
func lastWord(key string) string {
	if i := strings.LastIndexByte(key, ' '); i >= 0 {
		return key[i+1:]
	}
	return ""
}
