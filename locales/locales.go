// Package locales has the texts of the program for people: one file per language, named by its BCP 47 tag. The steps for a new
// language are in docs/development/add-a-language.md. The tests name each message that it lacks, each that no other language has, and
// each whose placeholders differ from English.
//
// A message is a string with placeholders in braces, such as {service}, or an object with a string for each plural category of the
// language (CLDR: one, few, other, …), by the placeholder {count}. A file has these sections:
//
//   - format: quotation marks, times and months
//   - page: the page's messages
//   - errors: by the code of a problem
//   - fields: by the code of an invalid member
//   - events: the audit log
//   - document: what the page shows before its script runs
//   - error_page: an error that a browser shows as a page
//   - mail: e-mails, by their kinds
//
// The server reads format, errors, document, error_page and mail. The page imports the other sections, and format and errors, from the same file.
package locales

import (
	"embed"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/text/language"
)

// Language is the BCP 47 tag of a language that has texts.
type Language string

// English is the language that the other files are compared with.
const English Language = "en"

//go:embed *.json
var files embed.FS

// Texts are the texts of one language that the server uses.
type Texts struct {
	Language  Language `json:"language"`
	Name      string   `json:"name"`      // in the language itself
	Direction string   `json:"direction"` // ltr or rtl
	Format    Format   `json:"format"`

	Errors    map[string]Message `json:"errors"` // by the code of a problem
	Document  Document           `json:"document"`
	ErrorPage ErrorPage          `json:"error_page"`
	Mail      Mail               `json:"mail"`
}

// Document has the texts of the page before its script runs.
type Document struct {
	Description   Message `json:"description"` // for search engines
	Loading       Message `json:"loading"`
	Late          Message `json:"late"`  // the script has not arrived
	Again         Message `json:"again"` // the label of a link that loads the page again
	NoScriptTitle Message `json:"no_script_title"`
	NoScript      Message `json:"no_script"`
}

// ErrorPage has the texts of an error that a browser shows as a page.
type ErrorPage struct {
	Title     Message `json:"title"`
	SignIn    Message `json:"sign_in"`   // the label of a link that begins a further sign-in
	Back      Message `json:"back"`      // the label of a link to the application {name}
	Reference Message `json:"reference"` // names the request's {id}
}

// Format has the rules of a language for quotations and times.
type Format struct {
	QuoteMessage Message  `json:"quote"` // of {text}
	TimeMessage  Message  `json:"time"`  // of {day}, {month}, {year}, {hour} and {minute}, in UTC, which it names
	Months       []string `json:"months"`
}

// Mail has the texts of e-mails. Each may contain {service}.
type Mail struct {
	Facts  MailFacts              `json:"facts"`
	Open   Message                `json:"open"`   // the label of the link to the service
	Footer Message                `json:"footer"` // at the end of each e-mail
	Links  MailLinks              `json:"links"`
	Kinds  map[string]MailMessage `json:"kinds"` // by domain.EmailKind
}

// MailFacts are the labels of the facts in an e-mail.
type MailFacts struct {
	When     Message `json:"when"`
	Actor    Message `json:"actor"`
	Operator Message `json:"operator"` // the value of Actor for an action of the operator
	Device   Message `json:"device"`
	IP       Message `json:"ip"`
}

// MailLinks are the labels of the operator's links.
type MailLinks struct {
	Terms   Message `json:"terms"`
	Privacy Message `json:"privacy"`
	Imprint Message `json:"imprint"`
	Support Message `json:"support"`
}

// MailMessage has the texts of one kind of e-mail. Besides {service} they may contain {url}, {passkey} and {expires}.
type MailMessage struct {
	Subject        Message   `json:"subject"`
	Intro          Message   `json:"intro"`
	IntroPasskey   Message   `json:"intro_passkey"`   // instead of Intro, if the name of the passkey is known; "" if Intro stands for both
	IntroOperator  Message   `json:"intro_operator"`  // instead of Intro, for an action of the operator; "" if Intro stands for both
	Advice         []Message `json:"advice"`          // paragraphs
	AdviceOperator []Message `json:"advice_operator"` // instead of Advice, for an action of the operator; none if Advice stands for both
}

// Message is a text with placeholders.
type Message string

var placeholder = regexp.MustCompile(`\{[a-z_]+\}`)

// Expand replaces each placeholder by its value, which it inserts as it is, and passes the text between the placeholders through
// escape. A placeholder without a value stays.
func (m Message) Expand(escape func(string) string, values map[string]string) string {
	var b strings.Builder
	rest := string(m)
	for _, at := range placeholder.FindAllStringIndex(string(m), -1) {
		start, end := at[0]-len(m)+len(rest), at[1]-len(m)+len(rest)
		b.WriteString(escape(rest[:start]))
		if value, known := values[rest[start+1:end-1]]; known {
			b.WriteString(value)
		} else {
			b.WriteString(escape(rest[start:end]))
		}
		rest = rest[end:]
	}
	b.WriteString(escape(rest))
	return b.String()
}

// Quote returns a text between quotation marks. It passes the marks through escape, and inserts the text as it is.
func (f Format) Quote(escape func(string) string, text string) string {
	return f.QuoteMessage.Expand(escape, map[string]string{"text": text})
}

// Time returns a time to the minute, in UTC.
func (f Format) Time(t time.Time) string {
	t = t.UTC()
	return f.TimeMessage.Expand(literal, map[string]string{
		"day": strconv.Itoa(t.Day()), "month": f.Months[t.Month()-1], "year": strconv.Itoa(t.Year()), "hour": t.Format("15"), "minute": t.Format("04"),
	})
}

func literal(s string) string { return s }

// Languages returns all languages: English, and then the others by their tags.
func Languages() []Language { return slices.Clone(load().languages) }

// Of returns the texts of a language, or those in English for an unknown one.
func Of(l Language) *Texts {
	if texts := load().texts[l]; texts != nil {
		return texts
	}
	return load().texts[English]
}

// Match returns the language that fits best: to the value of an Accept-Language header, or to a single tag. It returns "" if none fits
// or the value is invalid.
func Match(preferences string) Language {
	tags, _, err := language.ParseAcceptLanguage(preferences)
	if err != nil || len(tags) == 0 {
		return ""
	}
	_, index, confidence := load().matcher.Match(tags...)
	if confidence == language.No {
		return ""
	}
	return load().languages[index]
}

// catalog has the texts of all languages.
type catalog struct {
	languages []Language
	texts     map[Language]*Texts
	matcher   language.Matcher
}

// load panics if an embedded file is invalid.
var load = sync.OnceValue(func() catalog {
	entries, err := files.ReadDir(".")
	all := catalog{texts: map[Language]*Texts{}}
	var tags []language.Tag
	for _, entry := range entries {
		var text []byte
		var texts Texts
		if text, err = files.ReadFile(entry.Name()); err == nil {
			err = json.Unmarshal(text, &texts)
		}
		if err != nil {
			break
		}
		all.texts[texts.Language] = &texts
		all.languages = append(all.languages, texts.Language)
	}
	if err != nil {
		panic(fmt.Errorf("reading the texts: %w", err))
	}
	slices.SortFunc(all.languages, func(a, b Language) int {
		switch {
		case a == b:
			return 0
		case a == English:
			return -1
		case b == English:
			return 1
		}
		return strings.Compare(string(a), string(b))
	})
	for _, l := range all.languages {
		tags = append(tags, language.MustParse(string(l)))
	}
	all.matcher = language.NewMatcher(tags)
	return all
})
