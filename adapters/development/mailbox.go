package development

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/keylodge/keylodge/ports"
)

// maxEmails is the number of e-mails that a Mailbox keeps.
const maxEmails = 100

// Email is an e-mail as its recipient would read it.
type Email struct {
	To      string    `json:"to"`
	Kind    string    `json:"kind"`
	At      time.Time `json:"at"` // of the event that it is about
	Subject string    `json:"subject"`
	Text    string    `json:"text"`
	HTML    string    `json:"html"`
	Code    string    `json:"code,omitempty"` // of a verification code
}

// Mailbox is a ports.Mailer that keeps the latest 100 e-mails in memory. It is safe for concurrent use.
type Mailbox struct {
	// Compose returns the subject of an e-mail, and its content as text and as HTML.
	Compose func(ports.OutgoingEmail) (subject, text, html string, err error)

	mu     sync.Mutex
	emails []Email // oldest first
}

var _ ports.Mailer = (*Mailbox)(nil)

// Send implements ports.Mailer.
func (m *Mailbox) Send(_ context.Context, email ports.OutgoingEmail) error {
	subject, text, html, err := m.Compose(email)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.emails = append(m.emails, Email{
		To: string(email.Email.To), Kind: string(email.Email.Kind), At: email.Email.Details.At, Subject: subject, Text: text, HTML: html,
		Code: email.Code.Reveal(),
	})
	m.emails = m.emails[max(0, len(m.emails)-maxEmails):]
	return nil
}

// Emails returns the e-mails, newest first.
func (m *Mailbox) Emails() []Email {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := append([]Email{}, m.emails...)
	slices.Reverse(list)
	return list
}

// Clear deletes the e-mails.
func (m *Mailbox) Clear() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.emails = nil
}
