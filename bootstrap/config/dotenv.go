package config

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// assignment is a line of a .env file.
type assignment struct{ name, value string }

var assignmentPattern = regexp.MustCompile(`^(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)[ \t]*=(.*)$`)

// parseDotenv reads lines of NAME=value, as .env.example describes them. A value is taken as it stands: nothing in it is
// expanded or unescaped. Each line that could be meant in another way is a fault, which names the line and quotes nothing
// of it.
func parseDotenv(text []byte) ([]assignment, SettingErrors) {
	var assignments []assignment
	var faults SettingErrors
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	if !utf8.Valid(text) || bytes.IndexByte(text, 0) >= 0 {
		return nil, SettingErrors{{".env", "it is not UTF-8 text", "save it as UTF-8"}}
	}
	lineOf := map[string]int{}
	number := 0
	for line := range strings.SplitSeq(string(text), "\n") {
		number++
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		fault := func(problem, fix string) {
			faults = append(faults, SettingError{".env", fmt.Sprintf("line %d %s", number, problem), fix})
		}
		parts := assignmentPattern.FindStringSubmatch(line)
		if parts == nil {
			fault("is not NAME=value", "write one setting a line, as NAME=value, and # before a comment")
			continue
		}
		name := parts[1]
		value, problem, fix := dotenvValue(parts[2])
		switch first, again := lineOf[name]; {
		case problem != "":
			fault(problem, fix)
		case again:
			fault(fmt.Sprintf("sets %s, which line %d sets too", name, first), "remove one of the lines")
		}
		lineOf[name] = number
		assignments = append(assignments, assignment{name, value})
	}
	return assignments, faults
}

// dotenvValue reads what stands behind the equals sign.
func dotenvValue(s string) (value, problem, fix string) {
	trimmed := strings.TrimSpace(s)
	switch {
	case strings.HasPrefix(s, "#"):
		return "", "has a value that begins with #", "quote the value, or put a space before the comment"
	case strings.HasPrefix(trimmed, "#"):
		return "", "", ""
	case strings.HasPrefix(trimmed, `"`), strings.HasPrefix(trimmed, "'"):
		quote := trimmed[:1]
		inside, rest, closed := strings.Cut(trimmed[1:], quote)
		commented := strings.HasPrefix(strings.TrimSpace(rest), "#") && rest[0] != '#'
		switch {
		case !closed:
			return "", "has a quote that is not closed on it", "close the quote, or use the other kind if the value begins with one"
		case strings.TrimSpace(rest) != "" && !commented:
			return "", "goes on behind the closing quote", "quote the whole value, in the kind of quotes that is not in it"
		}
		value = inside
	default:
		value = trimmed
		if at := inlineComment.FindStringIndex(value); at != nil {
			value = value[:at[0]]
		}
	}
	if strings.ContainsFunc(value, unicode.IsControl) {
		return "", "has a control character in its value", "write the line again"
	}
	return value, "", ""
}

var inlineComment = regexp.MustCompile(`[ \t]+#`)
