package config

import (
	"crypto/x509"
	"fmt"
	"net/mail"
	"net/netip"
	"os"
	"strings"
	"unicode"

	"github.com/keylodge/keylodge/adapters/smtp"
	"github.com/keylodge/keylodge/domain"
)

// smtp reads how mail is sent. Without a host none is, and the other settings say that somebody believes otherwise.
func (c *settingsParser) smtp(config *Config, e environment) {
	if e.SMTPHost == "" {
		for _, s := range []struct{ name, value string }{
			{"SMTP_PORT", e.SMTPPort}, {"SMTP_TLS", e.SMTPTLS}, {"SMTP_USERNAME", e.SMTPUsername}, {"SMTP_PASSWORD", e.SMTPPassword},
			{"SMTP_FROM", e.SMTPFrom}, {"SMTP_CA_FILE", e.SMTPCAFile},
		} {
			if s.value != "" {
				c.addError(s.name, "it does nothing without KEYLODGE_SMTP_HOST", "name the mail server there, or remove this one")
			}
		}
		return
	}
	s := smtp.Config{
		Host:      e.SMTPHost,
		TLS:       c.smtpTLS(e.SMTPTLS),
		Username:  e.SMTPUsername,
		Password:  domain.NewSecret(e.SMTPPassword),
		From:      c.sender(e.SMTPFrom),
		RootCAs:   c.rootCAs(e.SMTPCAFile),
		Service:   config.RPName,
		PublicURL: config.PublicURL,
	}
	if strings.ContainsAny(e.SMTPHost, ":/@ \t") && !isIPAddress(e.SMTPHost) { // not quoted: there may be a password in it
		c.addError("SMTP_HOST", "it is not the name of a machine", "write the name alone, such as smtp.example.org, and the port into KEYLODGE_SMTP_PORT")
	}
	const together = "user name and password are used together, and one of them is missing"
	switch {
	case e.SMTPUsername != "" && e.SMTPPassword == "":
		c.addError("SMTP_USERNAME", together, "set KEYLODGE_SMTP_USERNAME and KEYLODGE_SMTP_PASSWORD, or neither")
	case e.SMTPUsername == "" && e.SMTPPassword != "":
		c.addError("SMTP_PASSWORD", together, "set KEYLODGE_SMTP_USERNAME and KEYLODGE_SMTP_PASSWORD, or neither")
	}
	if strings.ContainsFunc(e.SMTPPassword, unicode.IsControl) {
		c.addError("SMTP_PASSWORD", "it holds a line break or another control character", "write it without; echo and an editor put a line break at the end: printf %s does not")
	}
	if s.TLS == smtp.NoTLS && e.SMTPCAFile != "" {
		c.addError("SMTP_CA_FILE", "it does nothing without TLS", "write starttls or tls into KEYLODGE_SMTP_TLS, or remove it")
	}
	if s.TLS == smtp.NoTLS && !IsLoopback(e.SMTPHost) {
		c.addError("SMTP_TLS", "without TLS anybody on the way reads the codes that are sent", "write starttls or tls; none is for a mail server on this machine")
	}
	if s.TLS == smtp.NoTLS && e.SMTPPassword != "" {
		c.addError("SMTP_PASSWORD", "it is never sent without TLS", "write starttls or tls into KEYLODGE_SMTP_TLS, or remove user name and password")
	}
	s.Port = defaultSMTPPort(s.TLS)
	if e.SMTPPort != "" {
		s.Port = c.number("SMTP_PORT", e.SMTPPort, 1, 65535)
		if s.Port == defaultSMTPPort(smtp.ImplicitTLS) && s.TLS != smtp.ImplicitTLS {
			c.addError("SMTP_PORT", "on 465 a mail server speaks TLS from the first byte (RFC 8314)", "set KEYLODGE_SMTP_TLS=tls, or another port")
		}
	}
	config.SMTP = &s
}

func (c *settingsParser) smtpTLS(s string) smtp.TLS {
	if s == "" {
		return smtp.STARTTLS
	}
	switch oneOf(c, "SMTP_TLS", s, "starttls", "tls", "none") {
	case "tls":
		return smtp.ImplicitTLS
	case "none":
		return smtp.NoTLS
	}
	return smtp.STARTTLS
}

func defaultSMTPPort(tls smtp.TLS) int {
	switch tls {
	case smtp.ImplicitTLS:
		return 465 // RFC 8314, section 7.3
	case smtp.NoTLS:
		return 25
	}
	return 587
}

func (c *settingsParser) sender(s string) mail.Address {
	const fix = "write the address that letters come from, such as: Example <no-reply@example.org>"
	if s == "" {
		c.addError("SMTP_FROM", "it is not set, and KEYLODGE_SMTP_HOST is: e-mail needs a sender", fix)
		return mail.Address{}
	}
	from, err := mail.ParseAddress(s)
	if err == nil {
		_, err = domain.ParseEmail("email", from.Address)
	}
	if err != nil {
		c.addError("SMTP_FROM", fmt.Sprintf("%q is not an address", s), fix)
		return mail.Address{}
	}
	return *from
}

// rootCAs returns nil for those of the system.
func (c *settingsParser) rootCAs(file string) *x509.CertPool {
	if file == "" {
		return nil
	}
	const fix = "name a PEM file with the certificate of the authority that the mail server's certificate comes from"
	text, err := os.ReadFile(file)
	if err != nil {
		c.addError("SMTP_CA_FILE", err.Error(), fix)
		return nil
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		c.addError("SMTP_CA_FILE", "there is no certificate in it", fix)
	}
	return roots
}

func isIPAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}
