// Package smtp composes e-mails and sends them to a mail server, with github.com/wneessen/go-mail.
package smtp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/locales"
	"github.com/keylodge/keylodge/ports"
)

// TLS is the encryption of the connection to the server. There is no opportunistic mode.
type TLS uint8

const (
	STARTTLS    TLS = iota + 1 // after EHLO (RFC 3207); required
	ImplicitTLS                // from the first byte (RFC 8314)
	NoTLS                      // for a server on the same machine; no password is sent
)

// Config holds the mail server and the sender.
type Config struct {
	Host      string // also the name in the server's certificate
	Port      int
	TLS       TLS
	Username  string // "" for no authentication
	Password  domain.Secret
	From      mail.Address
	Service   string           // the name of the service
	Language  locales.Language // of e-mails to users who have chosen none that has texts
	Brand     Brand
	PublicURL string         // the only link in e-mails but those of the brand
	RootCAs   *x509.CertPool // the certificate authorities for the server; nil for those of the system
}

// Brand is what the operator makes their own of e-mails. The zero value has the colours of the page and no links.
type Brand struct {
	Accent, DarkAccent string // colours of the button, readable on the background of each mode, as #rrggbb; "" for the page's
	Links              Links
}

// Links are https URLs, or mailto: for Support; "" if there is none.
type Links struct{ Terms, Privacy, Imprint, Support string }

// Mailer implements ports.Mailer. Each e-mail uses its own connection. Mailer is safe for concurrent use.
type Mailer struct {
	address   string
	tls       *tls.Config
	config    Config
	localName string // for EHLO
	timeout   time.Duration
}

var _ ports.Mailer = (*Mailer)(nil)

// phaseTimeout bounds each phase: connecting, the commands up to authentication, and sending the e-mail.
const phaseTimeout = 30 * time.Second

// New returns a Mailer. It fails for a configuration with which no e-mail can be sent, or a password would be sent unencrypted.
func New(config Config) (*Mailer, error) {
	public, err := url.Parse(config.PublicURL)
	switch {
	case config.Host == "":
		return nil, errors.New("the mail server has no host")
	case config.Port < 1 || config.Port > 65535:
		return nil, fmt.Errorf("the mail server's port cannot be %d", config.Port)
	case config.TLS < STARTTLS || config.TLS > NoTLS:
		return nil, errors.New("the encryption of the connection to the mail server is not set")
	case (config.Username == "") != config.Password.IsZero():
		return nil, errors.New("authentication to the mail server needs both a user name and a password")
	case config.TLS == NoTLS && !config.Password.IsZero():
		return nil, errors.New("a password must not be sent to the mail server without TLS")
	case !strings.Contains(config.From.Address, "@") || domainOf(config.From) == "":
		return nil, fmt.Errorf("%q is not a valid sender address", config.From.Address)
	case config.Service == "":
		return nil, errors.New("the service has no name")
	case err != nil || public.Host == "":
		return nil, fmt.Errorf("%q is not a valid public URL", config.PublicURL)
	}
	return &Mailer{
		address:   net.JoinHostPort(config.Host, strconv.Itoa(config.Port)),
		tls:       &tls.Config{ServerName: config.Host, RootCAs: config.RootCAs, MinVersion: tls.VersionTLS12},
		config:    config,
		localName: localName(public.Hostname(), domainOf(config.From)),
		timeout:   phaseTimeout,
	}, nil
}

// localName returns the first candidate that is a domain of at least two labels, since servers require a fully qualified name (RFC
// 5321, section 4.1.1.1).
func localName(candidates ...string) string {
	for _, name := range candidates {
		if _, err := domain.ParseEmail("email", "postmaster@"+name); err == nil && strings.Contains(name, ".") {
			return name
		}
	}
	return "localhost"
}

// Send implements ports.Mailer. Its errors are for the operator's log: one line with the server's reply, truncated, and without the
// password, the code and the recipient's address.
func (m *Mailer) Send(ctx context.Context, email ports.OutgoingEmail) error {
	message, err := m.message(email)
	if err != nil {
		return err
	}
	t := &transaction{mailer: m, redact: newRedactor(m.config, email)}
	defer t.end()
	return t.wrapError(ctx, t.deliver(ctx, email.Email.To, message))
}
