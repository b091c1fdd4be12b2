package smtp

import (
	"errors"
	"fmt"
	"strings"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/locales"
	"github.com/keylodge/keylodge/ports"
)

// content is the content of an e-mail, in the markup of one format.
type content struct {
	intro  string
	code   string // "1234 5678"; "" unless the e-mail has a code
	facts  []fact // none if the e-mail has a code
	advice []string
	open   string // the label of a link to the service
	footer string
	links  []operatorLink
}

// operatorLink is a link of the brand, whose URL has no markup.
type operatorLink struct{ label, url string }

type fact struct{ label, value string }

// format renders the parts of a content. Its functions get text without markup.
type format struct {
	text func(string) string // ordinary text
	name func(string) string // a name, which may be written in another direction than the text
	link func(string) string // a URL
}

var plainText = format{text: unchanged, name: unchanged, link: unchanged}

func unchanged(s string) string { return s }

// subject returns the subject of the e-mail.
func (m *Mailer) subject(email ports.OutgoingEmail, texts *locales.Texts) (string, error) {
	kind, found := texts.Mail.Kinds[string(email.Email.Kind)]
	if !found {
		return "", fmt.Errorf("there is no text for an e-mail of the kind %s", email.Email.Kind)
	}
	return kind.Subject.Expand(unchanged, map[string]string{"service": m.serviceName()}), nil
}

// content returns the content of the e-mail in a language and a format. It returns an error for an unknown kind, and for an e-mail
// that lacks its code.
func (m *Mailer) content(email ports.OutgoingEmail, texts *locales.Texts, f format) (content, error) {
	message, details := email.Email, email.Email.Details
	kind, found := texts.Mail.Kinds[string(message.Kind)]
	hasCode := message.Kind == domain.EmailKindVerificationCode
	switch {
	case !found:
		return content{}, fmt.Errorf("there is no text for an e-mail of the kind %s", message.Kind)
	case hasCode && email.Code.IsZero():
		return content{}, errors.New("its code is missing")
	}
	byOperator := details.Actor == domain.ActorOperator
	passkey := stripLinks(string(details.PasskeyName))
	values := map[string]string{
		"service": f.name(m.serviceName()),
		"url":     f.link(m.config.PublicURL),
		"passkey": texts.Format.Quote(f.text, f.name(passkey)),
		"expires": f.text(texts.Format.Time(message.ExpiresAt)),
	}
	expand := func(text locales.Message) string { return text.Expand(f.text, values) }
	c := content{intro: expand(kind.Intro), open: expand(texts.Mail.Open), footer: expand(texts.Mail.Footer)}
	switch {
	case byOperator && kind.IntroOperator != "":
		c.intro = expand(kind.IntroOperator)
	case passkey != "" && kind.IntroPasskey != "":
		c.intro = expand(kind.IntroPasskey)
	}
	labels, links := texts.Mail.Links, m.config.Brand.Links
	for _, l := range []struct {
		label locales.Message
		url   string
	}{{labels.Support, links.Support}, {labels.Terms, links.Terms}, {labels.Privacy, links.Privacy}, {labels.Imprint, links.Imprint}} {
		if l.url != "" {
			c.links = append(c.links, operatorLink{expand(l.label), l.url})
		}
	}
	advice := kind.Advice
	if byOperator && len(kind.AdviceOperator) > 0 {
		advice = kind.AdviceOperator
	}
	for _, paragraph := range advice {
		c.advice = append(c.advice, expand(paragraph))
	}
	if hasCode {
		c.code = f.text(groupDigits(email.Code.Reveal()))
		return c, nil
	}
	factLabels := texts.Mail.Facts
	addFact := func(label locales.Message, value string) {
		if value != "" {
			c.facts = append(c.facts, fact{expand(label), value})
		}
	}
	addFact(factLabels.When, f.text(texts.Format.Time(details.At)))
	if byOperator {
		addFact(factLabels.Actor, expand(factLabels.Operator))
		return c, nil
	}
	addFact(factLabels.Device, f.name(stripLinks(details.DeviceName)))
	addFact(factLabels.IP, f.text(formatIP(details.IP)))
	return c, nil
}

func (m *Mailer) serviceName() string { return oneLine(m.config.Service, maxNameLength) }

// text returns the content as plain text. A paragraph is one line, which mail clients wrap.
func (m *Mailer) text(c content) string {
	paragraphs := []string{c.intro}
	if c.code != "" {
		paragraphs = append(paragraphs, "    "+c.code)
	}
	if len(c.facts) > 0 {
		var lines []string
		for _, f := range c.facts {
			lines = append(lines, f.label+": "+f.value)
		}
		paragraphs = append(paragraphs, strings.Join(lines, "\n"))
	}
	paragraphs = append(paragraphs, c.advice...)
	// "-- " separates the signature.
	signature := fmt.Sprintf("-- \n%s, %s\n%s\n", m.serviceName(), m.config.PublicURL, c.footer)
	for _, l := range c.links {
		signature += l.label + ": " + strings.TrimPrefix(l.url, "mailto:") + "\n"
	}
	paragraphs = append(paragraphs, signature)
	return strings.Join(paragraphs, "\n\n")
}
