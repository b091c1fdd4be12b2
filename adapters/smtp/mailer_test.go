package smtp

import (
	"crypto/rand"
	"errors"
	"mime"
	"net"
	"net/mail"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/mailserver"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

var noon = time.Date(2026, time.August, 1, 12, 0, 0, 0, time.FixedZone("Berlin", 2*60*60))

func TestSend_DeliversComposedEmail(t *testing.T) {
	server := mailserver.Start(t, mailserver.Options{TLS: mailserver.Plain})
	email := codeEmail(t)
	send(t, mailerFor(t, server, func(*Config) {}), email)

	arrived := onlyEmail(t, server)
	if arrived.Sender != "noreply@example.org" || arrived.Recipient != "ada@example.org" {
		t.Errorf("envelope from %q to %q", arrived.Sender, arrived.Recipient)
	}
	for name, want := range map[string]string{
		"From":                     `"Ada's Keylodge" <noreply@example.org>`,
		"To":                       "<ada@example.org>",
		"Message-Id":               "<" + email.Email.ID.String() + "@example.org>",
		"Date":                     "Sat, 01 Aug 2026 10:00:00 +0000",
		"Auto-Submitted":           "auto-generated",
		"X-Auto-Response-Suppress": "All",
		"Mime-Version":             "1.0",
		"Reply-To":                 "",
		"X-Mailer":                 "",
		"User-Agent":               "",
	} {
		if got := arrived.Header[name]; strings.Join(got, "|") != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if subject, err := new(mime.WordDecoder).DecodeHeader(arrived.Header.Get("Subject")); err != nil || subject != "Your code for Schlüssel & Söhne" {
		t.Errorf("the subject is %q, %v", subject, err)
	}
	for _, want := range []string{"\n    1234 5678\n", "expires at 1 August 2026, 10:30 UTC", "https://id.example.org", "Schlüssel & Söhne"} {
		if !strings.Contains(arrived.Text, want) {
			t.Errorf("no %q in\n%s", want, arrived.Text)
		}
	}
	if kind := arrived.Header.Get("Content-Type"); !strings.HasPrefix(kind, "multipart/alternative;") {
		t.Errorf("the content is %s", kind)
	}
	for _, want := range []string{`<html lang="en" dir="ltr">`, ">1234 5678</p>", "expires at 1 August 2026, 10:30 UTC", `href="https://id.example.org"`, "Schlüssel &amp; Söhne"} {
		if !strings.Contains(arrived.HTML, want) {
			t.Errorf("no %q in\n%s", want, arrived.HTML)
		}
	}
	if greeted := arrived.Header.Get("Received"); !strings.Contains(greeted, "helo=id.example.org") {
		t.Errorf("the Received header is %q", greeted)
	}
}

func TestSend_RetryKeepsMessageIDAndDate(t *testing.T) {
	server := mailserver.Start(t, mailserver.Options{TLS: mailserver.Plain})
	email := codeEmail(t)
	server.SetReply("DATA", "ada@example.org", "451 4.3.0 try again")
	mailer := mailerFor(t, server, func(*Config) {})
	if err := mailer.Send(t.Context(), email); err == nil {
		t.Fatal("a deferred e-mail is reported as sent")
	}
	server.SetReply("DATA", "ada@example.org", "")
	send(t, mailer, email)
	send(t, mailer, email)
	both := server.Emails("ada@example.org")
	if len(both) != 2 {
		t.Fatalf("%d e-mails arrived", len(both))
	}
	for _, name := range []string{"Message-Id", "Date"} {
		if first, second := both[0].Header.Get(name), both[1].Header.Get(name); first != second {
			t.Errorf("%s: first %q, then %q", name, first, second)
		}
	}
}

func TestSend_UsesTLSAndAUTH(t *testing.T) {
	for name, c := range map[string]struct {
		options mailserver.Options
		by      TLS
	}{
		"STARTTLS":               {mailserver.Options{}, STARTTLS},
		"STARTTLS and PLAIN":     {mailserver.Options{Username: "keylodge", Password: "correct-horse"}, STARTTLS},
		"STARTTLS and LOGIN":     {mailserver.Options{Username: "keylodge", Password: "correct-horse", Mechanism: "LOGIN"}, STARTTLS},
		"implicit TLS":           {mailserver.Options{TLS: mailserver.ImplicitTLS}, ImplicitTLS},
		"implicit TLS and PLAIN": {mailserver.Options{TLS: mailserver.ImplicitTLS, Username: "keylodge", Password: "correct-horse"}, ImplicitTLS},
	} {
		t.Run(name, func(t *testing.T) {
			server := mailserver.Start(t, c.options)
			send(t, mailerFor(t, server, func(config *Config) {
				config.TLS, config.Username, config.Password = c.by, c.options.Username, domain.NewSecret(c.options.Password)
			}), codeEmail(t))
			how := onlyEmail(t, server).Header.Get("Received")
			protocol := "with esmtps" // RFC 3848
			if c.options.Username != "" {
				protocol = "with esmtpsa"
			}
			if !strings.Contains(how, protocol+" ") {
				t.Errorf("sent %q, want %s", how, protocol)
			}
		})
	}
}

func TestSend_UntrustedServerReceivesNothing(t *testing.T) {
	for name, c := range map[string]struct {
		server  mailserver.TLS
		by      TLS
		but     func(*Config)
		because string
	}{
		"an unknown authority":       {mailserver.STARTTLS, STARTTLS, func(c *Config) { c.RootCAs = nil }, "certificate signed by unknown authority"},
		"the same with implicit TLS": {mailserver.ImplicitTLS, ImplicitTLS, func(c *Config) { c.RootCAs = nil }, "certificate signed by unknown authority"},
		"another host":               {mailserver.STARTTLS, STARTTLS, func(c *Config) { c.Host = "127.0.0.2" }, "127.0.0.2"},
		"no STARTTLS":                {mailserver.Plain, STARTTLS, func(*Config) {}, "does not offer STARTTLS"},
	} {
		t.Run(name, func(t *testing.T) {
			server := mailserver.Start(t, mailserver.Options{TLS: c.server, Username: "keylodge", Password: "correct-horse"})
			mailer := mailerFor(t, server, func(config *Config) {
				config.TLS, config.Username, config.Password = c.by, "keylodge", domain.NewSecret("correct-horse")
				c.but(config)
			})
			mailer.address = server.Addr
			err := mailer.Send(t.Context(), codeEmail(t))
			if !errors.Is(err, domain.ErrUnavailable) || errors.Is(err, domain.ErrUndeliverable) || !strings.Contains(err.Error(), c.because) {
				t.Errorf("got %v", err)
			}
			if arrived := server.Emails("ada@example.org"); len(arrived) != 0 {
				t.Errorf("%d e-mails arrived", len(arrived))
			}
		})
	}
}

func TestSend_RejectedClientIsUnavailable(t *testing.T) {
	server := mailserver.Start(t, mailserver.Options{Username: "keylodge", Password: "correct-horse"})
	for name, password := range map[string]string{"a wrong password": "battery-staple", "no password": ""} {
		err := mailerFor(t, server, func(c *Config) {
			c.TLS = STARTTLS
			if password != "" {
				c.Username, c.Password = "keylodge", domain.NewSecret(password)
			}
		}).Send(t.Context(), codeEmail(t))
		if !errors.Is(err, domain.ErrUnavailable) || strings.Contains(err.Error(), "battery-staple") {
			t.Errorf("%s: %v", name, err)
		}
		if text := err.Error(); !strings.Contains(text, "check KEYLODGE_SMTP_USERNAME and KEYLODGE_SMTP_PASSWORD") || strings.Contains(text, domain.ErrUnavailable.Message) {
			t.Errorf("%s: the log has %q", name, text)
		}
	}
	server.SetReply("MAIL", "noreply@example.org", "550 5.1.8 no such sender")
	err := mailerFor(t, server, func(c *Config) {
		c.TLS, c.Username, c.Password = STARTTLS, "keylodge", domain.NewSecret("correct-horse")
	}).Send(t.Context(), codeEmail(t))
	if !errors.Is(err, domain.ErrUnavailable) || err.Error() != "sending the sender to the mail server: 550 5.1.8 no such sender" {
		t.Errorf("a rejected sender: %v", err)
	}
}

func TestSend_ClassifiesRejections(t *testing.T) {
	server := mailserver.Start(t, mailserver.Options{TLS: mailserver.Plain})
	mailer := mailerFor(t, server, func(*Config) {})
	for _, c := range []struct {
		command, reply string
		kind           error // nil for neither
	}{
		{"RCPT", "550 5.1.1 no such user", domain.ErrUndeliverable},
		{"RCPT", "552 5.2.2 mailbox full", domain.ErrUndeliverable},
		{"RCPT", "550 5.7.1 you may not relay", nil},
		{"RCPT", "554 5.4.1 no way there", nil},
		{"RCPT", "550 5.70 no such status", domain.ErrUndeliverable},
		{"RCPT", "550 relay not permitted", domain.ErrUndeliverable}, // or no such user
		{"RCPT", "450 4.2.1 come back later", nil},
		{"RCPT", "421 4.3.2 closing", domain.ErrUnavailable},
		{"RCPT", "454 4.7.1 relay access denied", domain.ErrUnavailable},
		{"RCPT", "530 5.7.0 sign in first", domain.ErrUnavailable},
		{"DATA", "554 5.6.0 this looks odd", domain.ErrUndeliverable},
		{"DATA", "550 5.7.26 this sender is not authenticated", nil},
		{"DATA", "552 5.3.4 too big", nil},
		{"DATA", "451 4.3.0 disk full", nil},
	} {
		server.SetReply(c.command, "ada@example.org", c.reply)
		err := mailer.Send(t.Context(), codeEmail(t))
		if err == nil || !strings.Contains(err.Error(), c.reply) {
			t.Errorf("%s: %v", c.reply, err)
		}
		for _, kind := range []error{domain.ErrUndeliverable, domain.ErrUnavailable} {
			if errors.Is(err, kind) != (c.kind == kind) {
				t.Errorf("%s to %s returned %v; is it %q: %t", c.reply, c.command, err, kind, errors.Is(err, kind))
			}
		}
		server.SetReply(c.command, "ada@example.org", "")
	}
	send(t, mailer, codeEmail(t))
	onlyEmail(t, server)
}

func TestSend_ServerDownIsUnavailable(t *testing.T) {
	server := mailserver.Start(t, mailserver.Options{TLS: mailserver.Plain})
	mailer := mailerFor(t, server, func(*Config) {})
	server.Stop()
	if err := mailer.Send(t.Context(), codeEmail(t)); !errors.Is(err, domain.ErrUnavailable) || strings.Contains(err.Error(), domain.ErrUnavailable.Message) {
		t.Errorf("got %v", err)
	}
	server.Resume()
	send(t, mailer, codeEmail(t))
	onlyEmail(t, server)
}

func codeEmail(t *testing.T) ports.OutgoingEmail {
	t.Helper()
	id := domain.NewOutboxEmailID(noon, rand.Reader)
	return ports.OutgoingEmail{
		Email: domain.OutboxEmailState{
			ID: id, To: "ada@example.org", Kind: domain.EmailKindVerificationCode,
			Details: domain.EmailDetails{At: noon}, ExpiresAt: noon.Add(30 * time.Minute),
		},
		Code: domain.NewSecret("12345678"),
	}
}

var fromAddress = mail.Address{Name: "Ada's Keylodge", Address: "noreply@example.org"}

// mailerFor returns a Mailer without TLS, unless but changes its configuration.
func mailerFor(t *testing.T, server *mailserver.Server, but func(*Config)) *Mailer {
	t.Helper()
	config := configFor(t, server.Addr)
	config.RootCAs = server.CA
	but(&config)
	mailer, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	return mailer
}

func configFor(t *testing.T, address string) Config {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return Config{Host: host, Port: number, TLS: NoTLS, From: fromAddress, Service: "Schlüssel & Söhne", PublicURL: "https://id.example.org"}
}

func send(t *testing.T, mailer *Mailer, email ports.OutgoingEmail) {
	t.Helper()
	if err := mailer.Send(t.Context(), email); err != nil {
		t.Fatal(err)
	}
}

func onlyEmail(t *testing.T, server *mailserver.Server) mailserver.Email {
	t.Helper()
	emails := server.Emails("ada@example.org")
	if len(emails) != 1 {
		t.Fatalf("%d e-mails arrived", len(emails))
	}
	return emails[0]
}
