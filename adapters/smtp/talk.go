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

// talk is one connection, for one letter.
type talk struct {
	mailer *Mailer
	redact *strings.Replacer
	client *smtp.Client
	close  func()
}

// hand returns nil once the server has taken the letter over.
func (t *talk) hand(ctx context.Context, to domain.Email, message *gomail.Msg) *fault {
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{
		{connecting, t.connect},
		{greeting, t.greet},
		{startingTLS, t.startTLS},
		{signingIn, t.signIn},
		{namingSender, t.nameSender},
		{namingRecipient, func(context.Context) error { return t.client.Rcpt("<" + string(to) + ">") }},
		{handingOver, func(context.Context) error { return t.write(message) }},
	} {
		if err := step.do(ctx); err != nil {
			return &fault{step.name, err}
		}
	}
	// The letter is theirs. What goes wrong from here on must not send it again.
	_ = t.client.Quit()
	return nil
}

func (t *talk) connect(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, t.mailer.patience)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(limited, "tcp", t.mailer.address)
	if err != nil {
		return err
	}
	// The library knows deadlines but no contexts.
	forget := context.AfterFunc(ctx, func() { _ = conn.Close() })
	t.close = func() { forget(); _ = conn.Close() }
	if err := conn.SetDeadline(time.Now().Add(t.mailer.patience)); err != nil {
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

func (t *talk) end() {
	if t.close != nil {
		t.close()
	}
}

func (t *talk) greet(context.Context) error {
	t.client.SkipSMTPUTF8(true) // addresses are ASCII here, and not every server on the way takes it
	return t.client.Hello(t.mailer.localName)
}

func (t *talk) startTLS(context.Context) error {
	if t.mailer.config.TLS != STARTTLS {
		return nil
	}
	if offered, _ := t.client.Extension("STARTTLS"); !offered {
		return errors.New("the server does not offer STARTTLS, so it was told nothing")
	}
	return t.client.StartTLS(t.mailer.tls)
}

// signIn sends the password as it is: every server understands that, and New sees to it that the connection is encrypted.
func (t *talk) signIn(context.Context) error {
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
	return errors.New("the server takes no password: it offers neither AUTH PLAIN nor AUTH LOGIN")
}

func (t *talk) nameSender(context.Context) error {
	if err := t.client.UpdateDeadline(t.mailer.patience); err != nil {
		return err
	}
	sender := t.mailer.config.From
	sender.Name = ""
	return t.client.Mail(sender.String())
}

func (t *talk) write(message *gomail.Msg) error {
	data, err := t.client.Data()
	if err != nil {
		return err
	}
	if _, err := message.WriteTo(data); err != nil {
		return err // and data stays open, lest half a letter be sent
	}
	return data.Close()
}
