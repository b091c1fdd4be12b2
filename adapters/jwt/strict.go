package jwt

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
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
type jsonObject map[string]jsontext.Value

// parseObject parses a text that is one JSON object. It rejects duplicate member names in any object (RFC 7515, section 4, and RFC
// 7519, section 4, permit that), invalid UTF-8, and more than maxDepth levels.
func parseObject(text []byte) (jsonObject, error) {
	if err := checkDepth(text); err != nil {
		return nil, err
	}
	var members jsonObject
	if err := json.Unmarshal(text, &members); err != nil || members == nil {
		return nil, errMalformed
	}
	return members, nil
}

func checkDepth(text []byte) error {
	decoder := jsontext.NewDecoder(bytes.NewBuffer(text))
	for {
		switch _, err := decoder.ReadToken(); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil, decoder.StackDepth() > maxDepth:
			return errMalformed
		}
	}
}

// getString returns a member that is a non-empty string.
func (o jsonObject) getString(name string) (string, error) {
	text, err := jsontext.AppendUnquote(nil, o[name])
	if err != nil || len(text) == 0 {
		return "", errMalformed
	}
	return string(text), nil
}

// getStrings returns a member that is a non-empty array of non-empty strings.
func (o jsonObject) getStrings(name string) ([]string, error) {
	var elements []jsontext.Value
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
