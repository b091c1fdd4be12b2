package jwt

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// errMalformed is the error of all functions in this file. Callers return domain.ErrAccessTokenInvalid, which has no details.
var errMalformed = errors.New("malformed JSON in a token")

const (
	// maxDepth bounds the nesting of objects and arrays. Tokens of Keylodge have two levels.
	maxDepth = 8
	// maxNumericDate is the first second of the year 10000, which RFC 3339 cannot express.
	maxNumericDate = 253_402_300_800
)

// jsonObject is a JSON object with undecoded members. Names are compared exactly; encoding/json would also accept "EXP" for
// "exp".
type jsonObject map[string]json.RawMessage

// parseObject parses a text that is one JSON object. It rejects duplicate member names in any object (RFC 7515, section 4, and RFC
// 7519, section 4, permit that), invalid UTF-8, and more than maxDepth levels.
func parseObject(text []byte) (jsonObject, error) {
	if !utf8.Valid(text) {
		return nil, errMalformed
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	if err := checkValue(decoder, 0); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, errMalformed
	}
	var members jsonObject
	if err := json.Unmarshal(text, &members); err != nil || members == nil {
		return nil, errMalformed
	}
	return members, nil
}

// checkValue reads one value and rejects duplicate members in it.
func checkValue(decoder *json.Decoder, depth int) error {
	token, err := decoder.Token()
	if err != nil {
		return errMalformed
	}
	opened, container := token.(json.Delim)
	if !container {
		return nil
	}
	if depth == maxDepth {
		return errMalformed
	}
	names := map[string]bool{}
	for decoder.More() {
		if opened == '{' {
			name, err := decoder.Token()
			text, isText := name.(string)
			if err != nil || !isText || names[text] {
				return errMalformed
			}
			names[text] = true
		}
		if err := checkValue(decoder, depth+1); err != nil {
			return err
		}
	}
	if _, err := decoder.Token(); err != nil { // the closing delimiter
		return errMalformed
	}
	return nil
}

// getString returns a member that is a non-empty string.
func (o jsonObject) getString(name string) (string, error) {
	var s string
	if raw := o[name]; len(raw) == 0 || raw[0] != '"' || json.Unmarshal(raw, &s) != nil || s == "" {
		return "", errMalformed
	}
	return s, nil
}

// getStrings returns a member that is a non-empty array of non-empty strings.
func (o jsonObject) getStrings(name string) ([]string, error) {
	var elements []json.RawMessage
	if raw := o[name]; len(raw) == 0 || raw[0] != '[' || json.Unmarshal(raw, &elements) != nil || len(elements) == 0 {
		return nil, errMalformed
	}
	list := make([]string, len(elements))
	for i, element := range elements {
		var err error
		if list[i], err = (jsonObject{name: element}).getString(name); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// getStringOrStrings returns a member that is one string or an array of them (RFC 7519, section 4.1.3).
func (o jsonObject) getStringOrStrings(name string) ([]string, error) {
	if raw := o[name]; len(raw) > 0 && raw[0] == '[' {
		return o.getStrings(name)
	}
	s, err := o.getString(name)
	return []string{s}, err
}

// getSpaceSeparated returns the words of a string that separates them by single spaces (RFC 6749, section 3.3).
func (o jsonObject) getSpaceSeparated(name string) ([]string, error) {
	s, err := o.getString(name)
	words := strings.Split(s, " ")
	if err != nil || slices.Contains(words, "") {
		return nil, errMalformed
	}
	return words, nil
}

// getNumericDate returns a member that is a NumericDate (RFC 7519, section 2): a JSON number of seconds since the Unix epoch, not
// negative and before the year 10000. It truncates fractions of a second, which never extends a token.
func (o jsonObject) getNumericDate(name string) (time.Time, error) {
	raw := o[name]
	if len(raw) == 0 || raw[0] < '0' || raw[0] > '9' {
		return time.Time{}, errMalformed
	}
	seconds, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || seconds >= maxNumericDate {
		return time.Time{}, errMalformed
	}
	return time.Unix(int64(seconds), 0).UTC(), nil
}
