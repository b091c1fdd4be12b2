package locales

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
)

// message is a message of a file: its text, or its text by plural form.
type message map[string]string

// textOnly is the form of a message without plural forms.
const textOnly = ""

var pluralForms = map[plural.Form]string{
	plural.Other: "other", plural.Zero: "zero", plural.One: "one", plural.Two: "two", plural.Few: "few", plural.Many: "many",
}

// flatten returns the messages of a file by their paths, such as mail.kinds.email_code.subject. Items of a list have numbers. It
// returns an error for a value that is no message, and for a duplicate member.
func flatten(file []byte) (map[string]message, error) {
	var tree map[string]any
	if err := json.Unmarshal(file, &tree); err != nil {
		return nil, err
	}
	messages := map[string]message{}
	return messages, collect("", tree, messages)
}

func collect(path string, value any, into map[string]message) error {
	switch v := value.(type) {
	case string:
		into[path] = message{textOnly: v}
	case []any:
		var err error
		for i, item := range v {
			err = errors.Join(err, collect(join(path, strconv.Itoa(i)), item, into))
		}
		return err
	case map[string]any:
		if m, isPlural := asPlural(v); isPlural {
			into[path] = m
			return nil
		}
		var err error
		for key, item := range v {
			err = errors.Join(err, collect(join(path, key), item, into))
		}
		return err
	default:
		return fmt.Errorf("%s is neither a text nor an object: %v", path, value)
	}
	return nil
}

func join(path, key string) string { return strings.TrimPrefix(path+"."+key, ".") }

// asPlural returns the message if all members are texts and named by plural forms, and there is more than one.
func asPlural(object map[string]any) (message, bool) {
	m := message{}
	for form, value := range object {
		text, isText := value.(string)
		if !isText || !slices.Contains(slices.Collect(maps.Values(pluralForms)), form) {
			return nil, false
		}
		m[form] = text
	}
	return m, len(m) > 1
}

// compare returns what is wrong with the messages of a language, sorted.
func compare(reference, messages map[string]message, tag string) (problems []string) {
	forms := formsOf(tag)
	for path, want := range reference {
		got, found := messages[path]
		if !found {
			problems = append(problems, path+" is missing")
			continue
		}
		problems = append(problems, got.check(path, forms)...)
		if strings.Join(got.placeholders(), " ") != strings.Join(want.placeholders(), " ") {
			problems = append(problems, fmt.Sprintf("%s has the placeholders %s, want %s", path, strings.Join(got.placeholders(), " "), strings.Join(want.placeholders(), " ")))
		}
	}
	for path := range messages {
		if _, found := reference[path]; !found {
			problems = append(problems, path+" is in no other language")
		}
	}
	slices.Sort(problems)
	return problems
}

// check returns what is wrong with the message itself.
func (m message) check(path string, forms []string) (problems []string) {
	for form, text := range m {
		if strings.TrimSpace(text) == "" {
			problems = append(problems, path+" is empty")
		}
		if form != textOnly && !slices.Contains(forms, form) {
			problems = append(problems, fmt.Sprintf("%s has the plural form %s, which the language does not use", path, form))
		}
	}
	if _, single := m[textOnly]; single {
		return problems
	}
	for _, form := range forms {
		if _, found := m[form]; !found {
			problems = append(problems, fmt.Sprintf("%s lacks the plural form %s", path, form))
		}
	}
	return problems
}

// placeholders returns the placeholders of all forms, sorted. {count} is optional in a plural form.
func (m message) placeholders() []string {
	var all []string
	for _, text := range m {
		all = append(all, regexp.MustCompile(`\{[^}]*\}`).FindAllString(text, -1)...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// formsOf returns the plural forms of a language for whole numbers below 1000, and other, which every language has.
func formsOf(tag string) []string {
	used := map[string]bool{"other": true}
	for n := range 1000 {
		used[pluralForms[plural.Cardinal.MatchPlural(language.MustParse(tag), n, 0, 0, 0, 0)]] = true
	}
	return slices.Sorted(maps.Keys(used))
}
