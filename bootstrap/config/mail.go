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

// smtp reads how e-mail is sent. Without a host no e-mail is sent, and the other settings are errors.
func (p *parser) smtp(config *Config, e environment) {
	if e.SMTPHost == "" {
		for _, s := range []struct{ name, value string }{
			{"SMTP_PORT", e.SMTPPort}, {"SMTP_TLS", e.SMTPTLS}, {"SMTP_USERNAME", e.SMTPUsername}, {"SMTP_PASSWORD", e.SMTPPassword},
			{"SMTP_FROM", e.SMTPFrom}, {"SMTP_CA_FILE", e.SMTPCAFile},
		} {
			if s.value != "" {
				p.addError(s.name, "has no effect without KEYLODGE_SMTP_HOST", "set KEYLODGE_SMTP_HOST to the mail server, or remove this setting")
			}
		}
		return
	}
	s := smtp.Config{
		Host:      e.SMTPHost,
		TLS:       p.smtpTLS(e.SMTPTLS),
		Username:  e.SMTPUsername,
		Password:  domain.NewSecret(e.SMTPPassword),
		From:      p.sender(e.SMTPFrom),
		RootCAs:   p.rootCAs(e.SMTPCAFile),
		Service:   config.RPName,
		Language:  config.Language,
		Brand:     config.emailBrand(),
		PublicURL: config.PublicURL,
	}
	if name := strings.TrimSuffix(strings.ToLower(e.SMTPHost), "."); !isIPAddress(name) && (!hostName.MatchString(name) || endsInNumber.MatchString(name)) {
		problem := fmt.Sprintf("%q is not a host name", e.SMTPHost)
		if strings.Contains(e.SMTPHost, "@") { // it may contain a password
			problem = "not a host name"
		}
		p.addError("SMTP_HOST", problem, "write only the name, for example smtp.example.org, and the port in KEYLODGE_SMTP_PORT")
	}
	const together = "user name and password must both be set or both be unset"
	switch {
	case e.SMTPUsername != "" && e.SMTPPassword == "":
		p.addError("SMTP_USERNAME", together, "set KEYLODGE_SMTP_USERNAME and KEYLODGE_SMTP_PASSWORD, or neither")
	case e.SMTPUsername == "" && e.SMTPPassword != "":
		p.addError("SMTP_PASSWORD", together, "set KEYLODGE_SMTP_USERNAME and KEYLODGE_SMTP_PASSWORD, or neither")
	}
	p.rejectControlCharacters("SMTP_USERNAME", e.SMTPUsername)
	p.rejectControlCharacters("SMTP_PASSWORD", e.SMTPPassword)
	if s.TLS == smtp.NoTLS && e.SMTPCAFile != "" {
		p.addError("SMTP_CA_FILE", "has no effect without TLS", "set KEYLODGE_SMTP_TLS to starttls or tls, or remove this setting")
	}
	if s.TLS == smtp.NoTLS && !IsLoopback(e.SMTPHost) {
		p.addError("SMTP_TLS", "without TLS, codes can be read on the network", "write starttls or tls; none is for a mail server on this machine")
	}
	if s.TLS == smtp.NoTLS && e.SMTPPassword != "" {
		p.addError("SMTP_PASSWORD", "never sent without TLS", "set KEYLODGE_SMTP_TLS to starttls or tls, or remove user name and password")
	}
	s.Port = defaultSMTPPort(s.TLS)
	if e.SMTPPort != "" {
		s.Port = p.number("SMTP_PORT", e.SMTPPort, 1, 65535)
		if s.Port == defaultSMTPPort(smtp.ImplicitTLS) && s.TLS != smtp.ImplicitTLS {
			p.addError("SMTP_PORT", "port 465 requires TLS from the first byte (RFC 8314)", "set KEYLODGE_SMTP_TLS=tls, or another port")
		}
	}
	config.SMTP = &s
}

func (p *parser) rejectControlCharacters(setting, value string) {
	if strings.ContainsFunc(value, unicode.IsControl) {
		p.addError(setting, "contains a line break or another control character", "remove it; echo and editors append a line break, printf %s does not")
	}
}

func (p *parser) smtpTLS(s string) smtp.TLS {
	switch oneOf(p, "SMTP_TLS", s, "", "starttls", "tls", "none") {
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

func (p *parser) sender(s string) mail.Address {
	const fix = "write the sender of e-mails, for example Example <no-reply@example.org>"
	if s == "" {
		p.addError("SMTP_FROM", "not set, and e-mail needs a sender", fix)
		return mail.Address{}
	}
	from, err := mail.ParseAddress(s)
	if err == nil {
		_, err = domain.ParseEmail("email", from.Address)
	}
	if err != nil {
		p.addError("SMTP_FROM", fmt.Sprintf("%q is not an e-mail address", s), fix)
		return mail.Address{}
	}
	return *from
}

// rootCAs returns nil, the system's certificate authorities, if no file is set.
func (p *parser) rootCAs(file string) *x509.CertPool {
	if file == "" {
		return nil
	}
	const fix = "write the path of a PEM file with the certificate of the authority that issued the mail server's certificate"
	text, err := os.ReadFile(file)
	if err != nil {
		p.addError("SMTP_CA_FILE", err.Error(), fix)
		return nil
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		p.addError("SMTP_CA_FILE", "the file contains no certificate", fix)
	}
	return roots
}

func isIPAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}
