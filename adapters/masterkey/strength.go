package masterkey

import (
	"bytes"
	"errors"
	"unicode"
	"unicode/utf8"
)

// CheckStrength returns an error for a key that is not random: a repeated or counting pattern, few different bytes, text, or words
// that are valid base64. It rejects at most one of 10^7 random keys.
func (k Key) CheckStrength() error { return k.weakness }

// findWeakness checks the bytes of a key and its base64 text without padding.
func findWeakness(secret []byte, written string) error {
	const leastDifferent, leastCharacters = 17, 11
	switch {
	case isPattern(secret), isPattern([]byte(written)):
		return errors.New("repeats or counts, so it can be guessed")
	case countDistinct(secret) < leastDifferent, countDistinct([]byte(written)) < leastCharacters:
		return errors.New("has few different bytes, so it can be guessed")
	case isText(secret):
		return errors.New("is text in base64, so it can be guessed")
	case looksLikeWords(written):
		return errors.New("is made of words, so it can be guessed")
	}
	return nil
}

// isPattern reports whether the bytes repeat a unit, or half of the differences between neighbours are equal.
func isPattern(b []byte) bool {
	for period := 1; period <= len(b)/2; period++ {
		if bytes.Equal(b[period:], b[:len(b)-period]) {
			return true
		}
	}
	var steps [256]int
	most := 0
	for i := 1; i < len(b); i++ {
		step := b[i] - b[i-1]
		steps[step]++
		most = max(most, steps[step])
	}
	return 2*most >= len(b)-1
}

func countDistinct(b []byte) int {
	var seen [256]bool
	n := 0
	for _, c := range b {
		if !seen[c] {
			seen[c] = true
			n++
		}
	}
	return n
}

func isText(b []byte) bool {
	return utf8.Valid(b) && bytes.IndexFunc(b, func(r rune) bool { return !unicode.IsPrint(r) && !unicode.IsSpace(r) }) < 0
}

// looksLikeWords reports whether six of seven characters are of one kind: lower case, upper case or digits. Hyphens between
// words count as the same kind.
func looksLikeWords(s string) bool {
	var small, capitals, digits, between int
	for _, r := range s {
		switch {
		case unicode.IsLower(r):
			small++
		case unicode.IsUpper(r):
			capitals++
		case unicode.IsDigit(r):
			digits++
		case r == '-', r == '_':
			between++
		}
	}
	return 7*(max(small, capitals, digits)+between) >= 6*len(s)
}
