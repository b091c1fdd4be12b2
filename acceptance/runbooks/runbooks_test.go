package runbooks

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	textBlock    = regexp.MustCompile("(?s)```text\n(.*?)```")
	headingQuote = regexp.MustCompile("(?m)^#+ .*?`([^`]+)`")
	indexRow     = regexp.MustCompile("(?m)^\\| `([^`]+)`.*$")
)

// A page quotes messages in blocks of the language text, and in code spans of its headings; the index quotes them in code spans at
// the beginning of its rows. … stands for what differs. The test produces the symptom, and fails if the program does not print a
// quoted message. It then follows the commands of the page, and fails if they do not fix the problem, or if it does not run one.
func TestRunbooks(t *testing.T) {
	folder, err := filepath.Abs("../../docs/runbooks")
	if err != nil {
		t.Fatal(err)
	}
	index := read(t, filepath.Join(folder, "README.md"))
	files, err := filepath.Glob(filepath.Join(folder, "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	var pages []string
	for _, file := range files {
		if page := strings.TrimSuffix(filepath.Base(file), ".md"); page != "README" {
			pages = append(pages, page)
		}
	}
	for page := range symptoms {
		if !slices.Contains(pages, page) {
			t.Errorf("there is no page docs/runbooks/%s.md", page)
		}
	}
	for _, page := range pages {
		t.Run(page, func(t *testing.T) {
			produce := symptoms[page]
			if produce == nil {
				t.Fatal("nothing produces the symptom of this page: add it to symptoms")
			}
			text := read(t, filepath.Join(folder, page+".md"))
			quotes := quotesOf(text)
			if len(quotes) == 0 {
				t.Error("this page quotes no message")
			}
			link := "(" + page + ".md"
			if !strings.Contains(index, link) {
				t.Error("the index docs/runbooks/README.md does not list this page")
			}
			for _, row := range indexRow.FindAllStringSubmatch(index, -1) {
				if strings.Contains(row[0], link) {
					quotes = append(quotes, row[1])
				}
			}
			s := &situation{t: t, blocks: blocksOf(text), names: map[string]string{}, units: map[string]func() error{}}
			produce(s)
			for _, b := range s.blocks {
				if !b.followed {
					t.Errorf("the test does not run these commands; <!-- test: skip: REASON --> says why not:\n%s", b.text)
				}
			}
			for _, quote := range quotes {
				if !contains(s.output(), quote) {
					t.Errorf("the program does not print %q", quote)
				}
			}
			if t.Failed() {
				t.Logf("it prints:\n%s", s.output())
			}
		})
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// quotesOf returns the messages that a page quotes.
func quotesOf(page string) (quotes []string) {
	for _, heading := range headingQuote.FindAllStringSubmatch(page, -1) {
		quotes = append(quotes, heading[1])
	}
	for _, block := range textBlock.FindAllStringSubmatch(page, -1) {
		for line := range strings.Lines(block[1]) {
			if line = strings.TrimSpace(line); line != "" {
				quotes = append(quotes, line)
			}
		}
	}
	return quotes
}

// contains reports whether a line of the output has the quote, in which … stands for any text, and a space for one or more.
func contains(output, quote string) bool {
	var parts []string
	for part := range strings.SplitSeq(quote, "…") {
		words := strings.Fields(part)
		for i, word := range words {
			words[i] = regexp.QuoteMeta(word)
		}
		parts = append(parts, strings.Join(words, " +"))
	}
	return regexp.MustCompile(strings.Join(parts, ".*")).MatchString(output)
}
