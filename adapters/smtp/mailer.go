// Package smtp composes e-mails and sends them to a mail server, over github.com/wneessen/go-mail.
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
	"github.com/keylodge/keylodge/ports"
)

// TLS says how the connection to the server is encrypted. There is no way that settles for less than it says.
type TLS uint8

const (
	STARTTLS    TLS = iota + 1 // asked for after the greeting (RFC 3207); without it nothing is sent
	ImplicitTLS                // from the first byte (RFC 8314)
	NoTLS                      // for a server on the same machine; sends no password
)

// Config holds the mail server and the sender.
type Config struct {
	Host      string // what the server's certificate is for, too
	Port      int
	TLS       TLS
	Username  string // "" if the server wants none
	Password  domain.Secret
	From      mail.Address
	Service   string         // what people know the site by
	PublicURL string         // the only link in e-mails
	RootCAs   *x509.CertPool // who may sign the server's certificate; nil for those whom the system trusts
}

// Mailer implements ports.Mailer. Each e-mail uses its own connection. Mailer is safe for concurrent use.
type Mailer struct {
	address   string
	tls       *tls.Config
	config    Config
	localName string // said in EHLO
	timeout   time.Duration
}

var _ ports.Mailer = (*Mailer)(nil)

// phaseTimeout is how long connecting, the dialogue up to authentication, and sending the message may take, each.
const phaseTimeout = 30 * time.Second

// New returns an error for a configuration under which no e-mail could be sent, or a password would be sent in the clear.
func New(config Config) (*Mailer, error) {
	public, err := url.Parse(config.PublicURL)
	switch {
	case config.Host == "":
		return nil, errors.New("the mail server has no name")
	case config.Port < 1 || config.Port > 65535:
		return nil, fmt.Errorf("the mail server's port cannot be %d", config.Port)
	case config.TLS < STARTTLS || config.TLS > NoTLS:
		return nil, errors.New("nothing says how the connection to the mail server is encrypted")
	case (config.Username == "") != config.Password.IsZero():
		return nil, errors.New("signing in to the mail server takes a user name and a password")
	case config.TLS == NoTLS && !config.Password.IsZero():
		return nil, errors.New("a password must not be sent to the mail server without TLS")
	case !strings.Contains(config.From.Address, "@") || domainOf(config.From) == "":
		return nil, fmt.Errorf("%q is not a valid sender address", config.From.Address)
	case config.Service == "":
		return nil, errors.New("the service has no name")
	case err != nil || public.Host == "":
		return nil, fmt.Errorf("%q is not a URL to send people to", config.PublicURL)
	}
	return &Mailer{
		address:   net.JoinHostPort(config.Host, strconv.Itoa(config.Port)),
		tls:       &tls.Config{ServerName: config.Host, RootCAs: config.RootCAs, MinVersion: tls.VersionTLS12},
		config:    config,
		localName: localName(public.Hostname(), domainOf(config.From)),
		timeout:   phaseTimeout,
	}, nil
}

// localName picks the first candidate of two labels or more that could stand in an e-mail address, since servers want a domain
// name that others know (RFC 5321, section 4.1.1.1).
func localName(candidates ...string) string {
	for _, name := range candidates {
		if _, err := domain.ParseEmail("email", "postmaster@"+name); err == nil && strings.Contains(name, ".") {
			return name
		}
	}
	return "localhost"
}

// Send implements ports.Mailer. Its errors are for the operator's log: one line, with the server's words as far as they fit,
// and without the password, the code and the recipient's address.
func (m *Mailer) Send(ctx context.Context, email ports.OutgoingEmail) error {
	message, err := m.compose(email)
	if err != nil {
		return err
	}
	t := &transaction{mailer: m, redact: newRedactor(m.config, email)}
	defer t.end()
	return t.wrapError(ctx, t.deliver(ctx, email.Email.To, message))
}
