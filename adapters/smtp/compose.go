package smtp

import (
	"cmp"
	"fmt"
	"net/mail"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"

	gomail "github.com/wneessen/go-mail"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/locales"
	"github.com/keylodge/keylodge/ports"
)

// Compose returns the subject of an e-mail, and its content as text and as HTML, in the recipient's language, or in that of the
// server if there are no texts in it.
func (m *Mailer) Compose(email ports.OutgoingEmail) (subject, text, html string, err error) {
	texts := locales.Of(m.language(email.Email.Locale))
	subject, err = m.subject(email, texts)
	if err != nil {
		return "", "", "", fmt.Errorf("composing an e-mail: %w", err)
	}
	plain, err := m.content(email, texts, plainText)
	if err != nil {
		return "", "", "", fmt.Errorf("composing an e-mail: %w", err)
	}
	marked, err := m.content(email, texts, markup)
	if err != nil {
		return "", "", "", fmt.Errorf("composing an e-mail: %w", err)
	}
	return subject, m.text(plain), m.html(subject, marked, texts), nil
}

// message returns the e-mail as it is sent.
func (m *Mailer) message(email ports.OutgoingEmail) (*gomail.Msg, error) {
	message := email.Email
	subject, text, html, err := m.Compose(email)
	if err != nil {
		return nil, err
	}
	composed := gomail.NewMsg(
		gomail.WithCharset(gomail.CharsetUTF8), gomail.WithEncoding(gomail.EncodingQP), gomail.WithNoDefaultUserAgent())
	composed.SetAddrHeaderFromMailAddress(gomail.HeaderFrom, &m.config.From)
	composed.SetAddrHeaderFromMailAddress(gomail.HeaderTo, &mail.Address{Address: string(message.To)})
	composed.Subject(subject)
	// Message-ID and Date are the same at every attempt, so that a mail server recognises a copy if its reply was lost.
	composed.SetMessageIDWithValue(message.ID.String() + "@" + domainOf(m.config.From))
	composed.SetDateWithValue(message.Details.At.UTC())
	// These headers suppress automatic replies (RFC 3834, section 5); the second one is for Exchange.
	composed.SetGenHeader("Auto-Submitted", "auto-generated")
	composed.SetGenHeader(gomail.HeaderXAutoResponseSuppress, "All")
	composed.SetBodyString(gomail.TypeTextPlain, text)
	composed.AddAlternativeString(gomail.TypeTextHTML, html)
	return composed, nil
}

func (m *Mailer) language(locale domain.Locale) locales.Language {
	return cmp.Or(locales.Match(string(locale)), m.config.Language)
}

// groupDigits returns a code as two groups, which are easier to type.
func groupDigits(code string) string {
	half := len(code) / 2
	return code[:half] + " " + code[half:]
}

// formatIP returns "" for an invalid IP address.
func formatIP(ip string) string {
	parsed, err := netip.ParseAddr(ip)
	if err != nil {
		return ""
	}
	return parsed.WithZone("").String()
}

func domainOf(from mail.Address) string {
	return from.Address[strings.LastIndex(from.Address, "@")+1:]
}

const maxNameLength = 64 // characters

// stripLinks returns a name as one short line in which no mail client detects a link: an attacker may have chosen the name of a
// passkey that the e-mail warns about.
func stripLinks(name string) string {
	runes := []rune(oneLine(name, maxNameLength))
	for i, r := range runes {
		switch {
		case strings.ContainsRune(`:/\@`, r),
			strings.ContainsRune(".。．｡", r) && i+1 < len(runes) && unicode.Is(unicode.L, runes[i+1]):
			runes[i] = ' '
		}
	}
	return strings.Join(strings.Fields(string(runes)), " ")
}

// oneLine replaces invisible characters, line breaks and changes of direction, and truncates the text to length characters.
func oneLine(s string, length int) string {
	visible := strings.Map(func(r rune) rune {
		const zeroWidthJoiner = '\u200d' // joins emoji
		if r == utf8.RuneError || !unicode.IsGraphic(r) && r != zeroWidthJoiner {
			return ' '
		}
		return r
	}, s)
	joined := strings.Join(strings.Fields(visible), " ")
	if runes := []rune(joined); len(runes) > length {
		return string(runes[:length-1]) + "…"
	}
	return joined
}
