package config

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// assignment is a line NAME=value of a .env file.
type assignment struct{ name, value string }

var assignmentPattern = regexp.MustCompile(`^(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)[ \t]*=(.*)$`)

// parseDotenv reads lines of NAME=value, as .env.example describes them. Values are literal: nothing is expanded or unescaped.
// It returns an error for each ambiguous line. The error contains the number of the line and none of its text, which may be
// secret.
func parseDotenv(text []byte) ([]assignment, SettingErrors) {
	var assignments []assignment
	var errs SettingErrors
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	if !utf8.Valid(text) || bytes.IndexByte(text, 0) >= 0 {
		return nil, SettingErrors{{".env", "is not UTF-8 text", "save it as UTF-8"}}
	}
	lineOf := map[string]int{}
	number := 0
	for line := range strings.SplitSeq(string(text), "\n") {
		number++
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		addError := func(problem, fix string) {
			errs = append(errs, SettingError{".env", fmt.Sprintf("line %d %s", number, problem), fix})
		}
		parts := assignmentPattern.FindStringSubmatch(line)
		if parts == nil {
			addError("is not NAME=value", "write one setting a line as NAME=value, and # before a comment")
			continue
		}
		name := parts[1]
		value, problem, fix := dotenvValue(parts[2])
		switch first, duplicate := lineOf[name]; {
		case problem != "":
			addError(problem, fix)
		case duplicate:
			addError(fmt.Sprintf("sets %s, which line %d also sets", name, first), "remove one of the lines")
		}
		lineOf[name] = number
		assignments = append(assignments, assignment{name, value})
	}
	return assignments, errs
}

// dotenvValue reads the text after the equals sign. It returns a problem and its fix for an ambiguous one.
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
			return "", "has an unclosed quote", "close the quote; if the value itself begins with a quote, use the other kind around it"
		case strings.TrimSpace(rest) != "" && !commented:
			return "", "has text after the closing quote", "quote the whole value with the kind of quotes that it does not contain"
		}
		value = inside
	default:
		value = trimmed
		if at := inlineComment.FindStringIndex(value); at != nil {
			value = value[:at[0]]
		}
	}
	if strings.ContainsFunc(value, unicode.IsControl) {
		return "", "has a control character in its value", "write the value again without it"
	}
	return value, "", ""
}

var inlineComment = regexp.MustCompile(`[ \t]+#`)
