package locales

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
)

// readFile returns the messages of a file.
func readFile(t *testing.T, name string) map[string]message {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	messages, err := flatten(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return messages
}

// Each language has the messages of English, with the same placeholders and the plural forms of the language.
func TestFiles_HaveTheSameMessages(t *testing.T) {
	english := readFile(t, "en.json")
	for _, l := range Languages() {
		for _, problem := range compare(english, readFile(t, string(l)+".json"), string(l)) {
			t.Errorf("%s.json: %s", l, problem)
		}
	}
	if len(english) < 200 || len(Languages()) < 2 {
		t.Errorf("%d messages in %q", len(english), Languages())
	}
}

func TestCompare_NamesEachDifference(t *testing.T) {
	reference, err := flatten([]byte(`{"same": "{a} b", "list": ["a", "b"], "lost": "a", "placeholder": "{a} {b}", "empty": "a", "forms": {"one": "a", "other": "{count}"}}`))
	if err != nil {
		t.Fatal(err)
	}
	other, err := flatten([]byte(`{"same": "b {a}", "list": ["a"], "more": "a", "placeholder": "{a} {c}", "empty": " ", "forms": {"one": "a", "other": "{count}"}}`))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`empty is empty`, `forms lacks the plural form few`, `forms lacks the plural form many`, `list.1 is missing`, `lost is missing`,
		`more is in no other language`, `placeholder has the placeholders {a} {c}, want {a} {b}`,
	}
	if got := compare(reference, other, "pl"); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	want = slices.Delete(want, 1, 3)
	if got := compare(reference, other, "de"); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	forms, err := flatten([]byte(`{"forms": {"one": "a", "few": "b", "other": "{count}"}}`))
	if err != nil {
		t.Fatal(err)
	}
	if got := compare(forms, forms, "de"); !slices.Equal(got, []string{"forms has the plural form few, which the language does not use"}) {
		t.Errorf("got %q", got)
	}
}

func TestFlatten_RejectsOtherValues(t *testing.T) {
	for _, text := range []string{`{"a": 1}`, `{"a": null}`, `{"a": {"one": "b", "other": 2}}`, `{"a": ["b", 1]}`, `["a"]`, `{`, `{"a": "b", "a": "c"}`} {
		if got, err := flatten([]byte(text)); err == nil {
			t.Errorf("%s: %v", text, got)
		}
	}
}

// The server reads each message of format, document, error_page and mail; a message that it does not read has no effect.
func TestFiles_ServerReadsItsSections(t *testing.T) {
	for _, l := range Languages() {
		text, err := os.ReadFile(string(l) + ".json")
		if err != nil {
			t.Fatal(err)
		}
		var sections struct {
			Language, Name, Direction    string
			Format, Mail                 json.RawMessage
			Document                     json.RawMessage
			ErrorPage                    json.RawMessage `json:"error_page"`
			Page, Errors, Fields, Events json.RawMessage
		}
		decoder := json.NewDecoder(strings.NewReader(string(text)))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&sections); err != nil {
			t.Errorf("%s: %v", l, err)
		}
		if sections.Language != string(l) || sections.Name == "" || sections.Direction != "ltr" && sections.Direction != "rtl" {
			t.Errorf("%s has the language %q, name %q and direction %q", l, sections.Language, sections.Name, sections.Direction)
		}
		for section, target := range map[string]any{string(sections.Format): &Format{}, string(sections.Document): &Document{}, string(sections.ErrorPage): &ErrorPage{}, string(sections.Mail): &Mail{}} {
			decoder := json.NewDecoder(strings.NewReader(section))
			decoder.DisallowUnknownFields()
			if err := decoder.Decode(target); err != nil {
				t.Errorf("%s: %v", l, err)
			}
		}
		if texts := Of(l); len(texts.Format.Months) != 12 || slices.Contains(texts.Format.Months, "") {
			t.Errorf("%s has the months %q", l, texts.Format.Months)
		}
	}
}

// Each kind of e-mail, kind of event, reason and error code has a text, and no other has one.
func TestFiles_CoverEveryCode(t *testing.T) {
	messages := readFile(t, "en.json")
	var kinds []string
	for _, kind := range domain.EmailKinds {
		kinds = append(kinds, string(kind))
	}
	requireKeys(t, "mail.kinds", slices.Sorted(maps.Keys(Of(English).Mail.Kinds)), kinds)

	kinds = nil
	for _, kind := range domain.EventKinds {
		kinds = append(kinds, string(kind))
	}
	requireKeys(t, "events.titles", keysIn(messages, "events.titles."), kinds)
	kinds = append(kinds, "other")
	for _, key := range keysIn(messages, "events.titles_with_passkey.") {
		if !slices.Contains(kinds, key) {
			t.Errorf("events.titles_with_passkey.%s is of no kind of event", key)
		}
	}

	page := reference(t, "events.md")
	reasons := []string{"recovery_locked", "refresh_token_reused"} // kinds of events that explain themselves
	for _, reason := range domain.Reasons {
		reasons = append(reasons, string(reason))
	}
	row := regexp.MustCompile("(?m)^\\| `reason` .*$").FindString(page)
	_, row, _ = strings.Cut(row, "revoke it: ")
	reasons = append(reasons, codes(row)...)
	reasons = slices.DeleteFunc(reasons, func(s string) bool { return strings.HasPrefix(s, "KEYLODGE_") })
	requireKeys(t, "events.reasons", keysIn(messages, "events.reasons."), reasons)
	changed := regexp.MustCompile("(?m)^\\| `changed` .*$").FindString(page)
	var members []string
	for _, quoted := range regexp.MustCompile("`\"([a-z_]+)\"`").FindAllStringSubmatch(changed, -1) {
		members = append(members, quoted[1])
	}
	requireKeys(t, "events.changes", keysIn(messages, "events.changes."), members)

	page = reference(t, "errors.md")
	api, rest, _ := strings.Cut(page, "## Codes of invalid members")
	var errorCodes []string
	for _, match := range regexp.MustCompile("(?m)^\\| \\d{3} \\| `([a-z_]+)`").FindAllStringSubmatch(api, -1) {
		errorCodes = append(errorCodes, match[1])
	}
	errorCodes = slices.DeleteFunc(errorCodes, func(code string) bool { // only programs of the operator get these
		return code == "api_key_invalid" || code == "insufficient_scope" || code == "signing_keys_external"
	})
	requireKeys(t, "errors", keysIn(messages, "errors."), errorCodes)
	fields, _, _ := strings.Cut(rest, "## Errors of commands")
	for _, key := range keysIn(messages, "fields.") {
		if !strings.Contains(fields, "\n| `"+key+"` |") {
			t.Errorf("fields.%s is not the code of an invalid member", key)
		}
	}
}

// reference returns a page of the generated reference.
func reference(t *testing.T, name string) string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "docs", "reference", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}

// keysIn returns the keys below a path, sorted.
func keysIn(messages map[string]message, path string) (keys []string) {
	for key := range messages {
		if name, below := strings.CutPrefix(key, path); below {
			keys = append(keys, name)
		}
	}
	slices.Sort(keys)
	return keys
}

func codes(text string) (all []string) {
	for _, match := range regexp.MustCompile("`([A-Za-z_]+)`").FindAllStringSubmatch(text, -1) {
		all = append(all, match[1])
	}
	return all
}

func requireKeys(t *testing.T, section string, got, want []string) {
	t.Helper()
	want = slices.Compact(slices.Sorted(slices.Values(want)))
	for _, key := range want {
		if !slices.Contains(got, key) {
			t.Errorf("%s.%s is missing", section, key)
		}
	}
	for _, key := range got {
		if !slices.Contains(want, key) {
			t.Errorf("%s.%s is not used", section, key)
		}
	}
	if len(want) == 0 {
		t.Errorf("nothing is expected in %s", section)
	}
}

func TestMatch(t *testing.T) {
	for preferences, want := range map[string]Language{
		"de":                              "de",
		"de-AT":                           "de",
		"de-CH-1996, en;q=0.5":            "de",
		"en-GB,en;q=0.9":                  "en",
		"fr, de;q=0.2":                    "de",
		"en;q=0.3, de;q=0.9":              "de",
		"de;q=0, en":                      "en",
		"fr":                              "",
		"*":                               "",
		"":                                "",
		"!":                               "",
		strings.Repeat("de-", 3000) + "x": "",
	} {
		if got := Match(preferences); got != want {
			t.Errorf("Match(%.40q) = %q, want %q", preferences, got, want)
		}
	}
}

func TestOf_UnknownLanguageIsEnglish(t *testing.T) {
	if got := Of("tlh").Language; got != English {
		t.Errorf("got %q", got)
	}
}

func TestFormat(t *testing.T) {
	at := time.Date(2026, time.March, 7, 1, 5, 0, 0, time.FixedZone("Berlin", 60*60))
	for l, want := range map[Language][2]string{
		"en": {"7 March 2026, 00:05 UTC", "“a”"},
		"de": {"7. März 2026, 00:05 Uhr UTC", "„a“"},
	} {
		format := Of(l).Format
		if got := [2]string{format.Time(at), format.Quote(literal, "a")}; got != want {
			t.Errorf("%s: got %q", l, got)
		}
	}
}

func TestExpand(t *testing.T) {
	upper := map[string]string{"a": "{b}", "b": "<b>"}
	for message, want := range map[Message]string{
		"":                 "",
		"x":                "X",
		"{a}":              "{b}",
		"x {a} y {b}{b} z": "X {b} Y <b><b> Z",
		"x {unknown} {A}":  "X {UNKNOWN} {A}",
		"{a} {":            "{b} {",
	} {
		if got := message.Expand(strings.ToUpper, upper); got != want {
			t.Errorf("%q: got %q, want %q", message, got, want)
		}
	}
}
