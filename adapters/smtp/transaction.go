package smtp

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"

	"github.com/keylodge/keylodge/domain"
)

// transaction is one connection, for one e-mail.
type transaction struct {
	mailer    *Mailer
	redact    *strings.Replacer
	client    *smtp.Client
	closeConn func()
}

// deliver returns nil once the server has accepted the e-mail.
func (t *transaction) deliver(ctx context.Context, to domain.Email, message *gomail.Msg) *stepError {
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{
		{stepConnect, t.connect},
		{stepEHLO, t.ehlo},
		{stepSTARTTLS, t.startTLS},
		{stepAUTH, t.authenticate},
		{stepMAIL, t.mailFrom},
		{stepRCPT, func(context.Context) error { return t.client.Rcpt("<" + string(to) + ">") }},
		{stepDATA, func(context.Context) error { return t.writeData(message) }},
	} {
		if err := step.do(ctx); err != nil {
			return &stepError{step.name, err}
		}
	}
	// The server has accepted the e-mail: after a later error it must not be sent again.
	_ = t.client.Quit()
	return nil
}

func (t *transaction) connect(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, t.mailer.timeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(limited, "tcp", t.mailer.address)
	if err != nil {
		return err
	}
	// The library supports deadlines, but no contexts.
	forget := context.AfterFunc(ctx, func() { _ = conn.Close() })
	t.closeConn = func() { forget(); _ = conn.Close() }
	if err := conn.SetDeadline(time.Now().Add(t.mailer.timeout)); err != nil {
		return err
	}
	if t.mailer.config.TLS == ImplicitTLS {
		encrypted := tls.Client(conn, t.mailer.tls)
		if err := encrypted.HandshakeContext(limited); err != nil {
			return err
		}
		conn = encrypted
	}
	t.client, err = smtp.NewClient(conn, t.mailer.config.Host)
	return err
}

func (t *transaction) end() {
	if t.closeConn != nil {
		t.closeConn()
	}
}

func (t *transaction) ehlo(context.Context) error {
	t.client.SkipSMTPUTF8(true) // addresses are ASCII, and not every relay supports SMTPUTF8
	return t.client.Hello(t.mailer.localName)
}

func (t *transaction) startTLS(context.Context) error {
	if t.mailer.config.TLS != STARTTLS {
		return nil
	}
	if offered, _ := t.client.Extension("STARTTLS"); !offered {
		return errors.New("the server does not offer STARTTLS, so no credentials were sent")
	}
	return t.client.StartTLS(t.mailer.tls)
}

// authenticate sends the password in plain text, which every server supports: New requires an encrypted connection.
func (t *transaction) authenticate(context.Context) error {
	config := t.mailer.config
	if config.Password.IsZero() {
		return nil
	}
	_, offered := t.client.Extension("AUTH")
	mechanisms := strings.Fields(strings.ToUpper(offered))
	switch {
	case slices.Contains(mechanisms, "PLAIN"):
		return t.client.Auth(smtp.PlainAuth("", config.Username, config.Password.Reveal(), config.Host, false))
	case slices.Contains(mechanisms, "LOGIN"):
		return t.client.Auth(smtp.LoginAuth(config.Username, config.Password.Reveal(), config.Host, false))
	}
	return errors.New("the server offers neither AUTH PLAIN nor AUTH LOGIN")
}

func (t *transaction) mailFrom(context.Context) error {
	if err := t.client.UpdateDeadline(t.mailer.timeout); err != nil {
		return err
	}
	sender := t.mailer.config.From
	sender.Name = ""
	return t.client.Mail(sender.String())
}

func (t *transaction) writeData(message *gomail.Msg) error {
	data, err := t.client.Data()
	if err != nil {
		return err
	}
	if _, err := message.WriteTo(data); err != nil {
		return err // without closing the data, so that no incomplete e-mail is sent
	}
	return data.Close()
}
