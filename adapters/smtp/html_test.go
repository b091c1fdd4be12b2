package smtp

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/locales"
	"github.com/keylodge/keylodge/ports"
)

// renderHTML returns the HTML part of an e-mail.
func renderHTML(mailer *Mailer, email ports.OutgoingEmail) (string, error) {
	texts := locales.Of(mailer.config.Language)
	subject, subjectErr := mailer.subject(email, texts)
	c, err := mailer.content(email, texts, markup)
	return mailer.html(subject, c, texts), errors.Join(subjectErr, err)
}

// document is what a mail client finds in an HTML part.
type document struct {
	elements   map[string]int
	attributes map[string][]string // values by name
	text       string              // with single spaces
}

func parseHTML(t *testing.T, source string) document {
	t.Helper()
	root, err := html.Parse(strings.NewReader(source))
	if err != nil {
		t.Fatal(err)
	}
	d := document{elements: map[string]int{}, attributes: map[string][]string{}}
	var text strings.Builder
	for node := range root.Descendants() {
		switch node.Type {
		case html.ElementNode:
			d.elements[node.Data]++
			for _, attribute := range node.Attr {
				d.attributes[attribute.Key] = append(d.attributes[attribute.Key], attribute.Val)
			}
		case html.TextNode:
			if node.Parent.Data != "style" && node.Parent.Data != "title" {
				text.WriteString(node.Data)
			}
		}
	}
	d.text = strings.Join(strings.Fields(text.String()), " ")
	return d
}

var (
	allowedElements = []string{
		"html", "head", "meta", "title", "style", "body", "table", "tbody", "tr", "td", "th", "p", "h1", "a", "bdi", "br",
	}
	allowedAttributes = []string{
		"lang", "dir", "charset", "name", "content", "class", "style", "role", "width", "cellpadding", "cellspacing", "border", "align", "scope", "href",
	}
)

// requireInert requires that the document has no element that loads or runs something, and links to the service only.
func requireInert(t *testing.T, name, source string) document {
	t.Helper()
	d := parseHTML(t, source)
	for element := range d.elements {
		if !slices.Contains(allowedElements, element) {
			t.Errorf("%s has an element %s", name, element)
		}
	}
	for attribute, values := range d.attributes {
		if !slices.Contains(allowedAttributes, attribute) {
			t.Errorf("%s has an attribute %s: %q", name, attribute, values)
		}
	}
	for _, href := range d.attributes["href"] {
		if href != "https://id.example.org" {
			t.Errorf("%s links to %s", name, href)
		}
	}
	if strings.Contains(source, "url(") || strings.Contains(source, "@import") || d.elements["html"] != 1 || d.elements["h1"] != 1 {
		t.Errorf("%s loads something, or is not one document:\n%s", name, source)
	}
	return d
}

func TestHTML_SaysWhatTheTextSays(t *testing.T) {
	mailer := newTestMailer(t)
	for _, language := range locales.Languages() {
		mailer.config.Language = language
		for _, kind := range domain.EmailKinds {
			for _, by := range []domain.Actor{domain.ActorUser, domain.ActorOperator} {
				email := fullEmail(t, kind, by)
				subject, text, err := render(mailer, email)
				if err != nil {
					t.Fatal(err)
				}
				source, err := renderHTML(mailer, email)
				if err != nil {
					t.Fatal(err)
				}
				name := string(language) + ", " + string(kind)
				d := requireInert(t, name, source)
				if !slices.Equal(d.attributes["lang"], []string{string(language)}) || d.attributes["dir"][0] != locales.Of(language).Direction {
					t.Errorf("%s has the language %q and the direction %q", name, d.attributes["lang"], d.attributes["dir"])
				}
				for line := range strings.Lines(text) {
					line = strings.TrimSpace(line)
					if label, value, isFact := strings.Cut(line, ": "); isFact && strings.Contains(d.text, label+value) {
						continue
					}
					if line != "--" && !strings.Contains(d.text, line) {
						t.Errorf("%s lacks %q:\n%s", name, line, d.text)
					}
				}
				if !strings.Contains(d.text, subject) {
					t.Errorf("%s lacks its subject", name)
				}
			}
		}
	}
}

func TestBrand_ColorsAndLinks(t *testing.T) {
	mailer := newTestMailer(t)
	mailer.config.Language = "de"
	mailer.config.Brand = Brand{
		Accent: "#0a5fb4", DarkAccent: "#7ab8ff",
		Links: Links{Support: "mailto:support@example.org", Imprint: "https://example.org/?a=1&b=2"},
	}
	email := fullEmail(t, domain.EmailKindPasskeyAdded, domain.ActorUser)
	source, err := renderHTML(mailer, email)
	if err != nil {
		t.Fatal(err)
	}
	d := parseHTML(t, source)
	for _, want := range []string{"mailto:support@example.org", "https://example.org/?a=1&b=2"} {
		if !slices.Contains(d.attributes["href"], want) {
			t.Errorf("no link to %s in %q", want, d.attributes["href"])
		}
	}
	if !strings.Contains(source, "background:#0a5fb4;") || !strings.Contains(source, "background: #7ab8ff !important") || !strings.Contains(d.text, "Support · Impressum") {
		t.Errorf("the brand is missing in\n%s", source)
	}
	_, text, err := render(mailer, email)
	if err != nil || !strings.HasSuffix(text, "\nSupport: support@example.org\nImpressum: https://example.org/?a=1&b=2\n") {
		t.Errorf("%v, links in\n%s", err, text)
	}
}

// No text of today has a character with a meaning in HTML; one of another language may have some.
func TestMarkup_EscapesEveryPart(t *testing.T) {
	const special = `<a href="x">&'`
	for name, render := range map[string]func(string) string{"text": markup.text, "name": markup.name, "link": markup.link} {
		if got := render(special); strings.Contains(got, special) || !strings.Contains(got, "&lt;a href=&#34;x&#34;&gt;&amp;&#39;") {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// An attacker may have chosen these names, and the operator may use special characters.
func TestHTML_EscapesEveryValue(t *testing.T) {
	mailer := newTestMailer(t)
	const evil = `"><img src=x onerror=alert(1)><a href="https://evil.example">x</a><script>y</script><!-- &lt;b&gt; ' {url}`
	mailer.config.Service = `<b class="x">&amp;"'` + "`"
	for _, kind := range domain.EmailKinds {
		email := fullEmail(t, kind, domain.ActorUser)
		email.Email.Details.PasskeyName, email.Email.Details.DeviceName, email.Email.Details.IP = evil, evil, evil
		source, err := renderHTML(mailer, email)
		if err != nil {
			t.Fatal(err)
		}
		d := requireInert(t, string(kind), source)
		if !strings.Contains(d.text, mailer.config.Service) {
			t.Errorf("%s does not show the name of the service: %s", kind, d.text)
		}
		if strings.Contains(string(kind), "passkey_") && !strings.Contains(d.text, `"><img src=x onerror=alert(1)><a href="https evil example">x<`) {
			t.Errorf("%s does not show the name as text without links: %s", kind, d.text)
		}
	}
}
