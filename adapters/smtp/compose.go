package smtp

import (
	"embed"
	"errors"
	"fmt"
	"net/mail"
	"net/netip"
	"strings"
	"text/template"
	"time"
	"unicode"
	"unicode/utf8"

	gomail "github.com/wneessen/go-mail"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// One file a kind: the subject, an empty line, the text. A paragraph is a line, since every screen has a width of its own.
//
//go:embed templates
var templateFiles embed.FS

var templates = template.Must(template.New("").ParseFS(templateFiles, "templates/*.txt"))

// templateData is the data of the templates.
type templateData struct {
	Service, URL string
	When         string // "2 January 2026, 15:04 UTC"
	ByOperator   bool
	Passkey      string // "" if none is meant
	Device, IP   string // "" if unknown
	Code         string // "1234 5678"
	CodeExpires  string // as When
}

func (m *Mailer) compose(email ports.OutgoingEmail) (*gomail.Msg, error) {
	message := email.Email
	subject, text, err := m.render(email)
	if err != nil {
		return nil, fmt.Errorf("compose an e-mail: %w", err)
	}
	composed := gomail.NewMsg(
		gomail.WithCharset(gomail.CharsetUTF8), gomail.WithEncoding(gomail.EncodingQP), gomail.WithNoDefaultUserAgent())
	composed.SetAddrHeaderFromMailAddress(gomail.HeaderFrom, &m.config.From)
	composed.SetAddrHeaderFromMailAddress(gomail.HeaderTo, &mail.Address{Address: string(message.To)})
	composed.Subject(subject)
	// The same at every attempt: if the reply to an accepted e-mail is lost, the mail server recognises the second one as a copy.
	composed.SetMessageIDWithValue(message.ID.String() + "@" + domainOf(m.config.From))
	composed.SetDateWithValue(message.Details.At.UTC())
	// No machine answers a machine (RFC 3834, section 5); Exchange has a word of its own for it.
	composed.SetGenHeader("Auto-Submitted", "auto-generated")
	composed.SetGenHeader(gomail.HeaderXAutoResponseSuppress, "All")
	composed.SetBodyString(gomail.TypeTextPlain, text)
	return composed, nil
}

// render executes the template of the e-mail's kind.
func (m *Mailer) render(email ports.OutgoingEmail) (subject, text string, err error) {
	message, about := email.Email, email.Email.Details
	if message.Kind == domain.EmailKindVerificationCode && email.Code.IsZero() {
		return "", "", errors.New("its code is missing")
	}
	var worded strings.Builder
	err = templates.ExecuteTemplate(&worded, string(message.Kind)+".txt", templateData{
		Service: oneLine(m.config.Service, maxNameLength), URL: m.config.PublicURL,
		When:        formatTime(about.At),
		ByOperator:  about.Actor == domain.ActorOperator,
		Passkey:     stripLinks(string(about.PasskeyName)),
		Device:      stripLinks(about.DeviceName),
		IP:          formatIP(about.IP),
		Code:        groupDigits(email.Code.Reveal()),
		CodeExpires: formatTime(message.ExpiresAt),
	})
	if err != nil {
		return "", "", err
	}
	subject, text, _ = strings.Cut(worded.String(), "\n\n")
	return subject, text, nil
}

func formatTime(t time.Time) string { return t.UTC().Format("2 January 2006, 15:04 UTC") }

// groupDigits shows a code as two groups, as people read it out.
func groupDigits(code string) string {
	half := len(code) / 2
	return code[:half] + " " + code[half:]
}

// formatIP is "" for what is no IP address.
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

// stripLinks returns a user's name as one short line in which no mail client detects a link, because the e-mail may warn of the
// person who chose the name.
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

// oneLine replaces what cannot be seen, or would break the line or turn its direction, and cuts at a number of characters.
func oneLine(s string, length int) string {
	visible := strings.Map(func(r rune) rune {
		const zeroWidthJoiner = '\u200d' // holds emoji together
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
