package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net/mail"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/settings"
	"github.com/keylodge/keylodge/adapters/smtp"
	"github.com/keylodge/keylodge/domain"
)

const smtpFrom = "SMTP_FROM=Example <no-reply@example.org>"

// newTestCA returns the certificate of a certificate authority, and a PEM file with it.
func newTestCA(t *testing.T) (*x509.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Example CA"}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	return certificate, settings.File(t, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw})))
}

func TestLoad_WithoutSMTPHost(t *testing.T) {
	for name, lines := range map[string][]string{"unset": nil, "empty": {"SMTP_HOST=", "SMTP_PASSWORD="}} {
		if config, err := load(t, lines...); err != nil || config.SMTP != nil {
			t.Errorf("%s: %+v, %v", name, config.SMTP, err)
		}
	}
}

func TestLoad_SMTP(t *testing.T) {
	config, err := load(t, "PUBLIC_URL=https://id.example.org", "RP_NAME=Example", "SMTP_HOST=smtp.example.org", "SMTP_PORT=2525", "SMTP_TLS=tls",
		"SMTP_USERNAME=keylodge", "SMTP_PASSWORD=hunter2", "SMTP_FROM=Example <no-reply@example.org>")
	if err != nil {
		t.Fatal(err)
	}
	want := smtp.Config{
		Host: "smtp.example.org", Port: 2525, TLS: smtp.ImplicitTLS, Username: "keylodge", Password: domain.NewSecret("hunter2"),
		From: mail.Address{Name: "Example", Address: "no-reply@example.org"}, Service: "Example", Language: "en", PublicURL: "https://id.example.org",
	}
	if *config.SMTP != want {
		t.Errorf("got  %+v\nwant %+v", config.SMTP, want)
	}
}

// By default, connections are encrypted, on the port of that kind of TLS.
func TestLoad_SMTPDefaults(t *testing.T) {
	for name, c := range map[string]struct {
		settings []string
		tls      smtp.TLS
		port     int
	}{
		"no other setting":      {[]string{"SMTP_HOST=smtp.example.org"}, smtp.STARTTLS, 587},
		"empty TLS":             {[]string{"SMTP_HOST=smtp.example.org", "SMTP_TLS="}, smtp.STARTTLS, 587},
		"STARTTLS":              {[]string{"SMTP_HOST=smtp.example.org", "SMTP_TLS=starttls"}, smtp.STARTTLS, 587},
		"TLS":                   {[]string{"SMTP_HOST=smtp.example.org", "SMTP_TLS=tls"}, smtp.ImplicitTLS, 465},
		"no TLS":                {[]string{"SMTP_HOST=localhost", "SMTP_TLS=none"}, smtp.NoTLS, 25},
		"lowest port":           {[]string{"SMTP_HOST=smtp.example.org", "SMTP_PORT=1"}, smtp.STARTTLS, 1},
		"highest port":          {[]string{"SMTP_HOST=smtp.example.org", "SMTP_PORT=65535"}, smtp.STARTTLS, 65535},
		"host with a dot":       {[]string{"SMTP_HOST=Mail_1.example.org."}, smtp.STARTTLS, 587},
		"IPv4 host":             {[]string{"SMTP_HOST=192.0.2.25"}, smtp.STARTTLS, 587},
		"IPv6 host":             {[]string{"SMTP_HOST=2001:db8::25"}, smtp.STARTTLS, 587},
		"no TLS, loopback":      {[]string{"SMTP_HOST=127.0.0.1", "SMTP_TLS=none", "SMTP_PORT=1025"}, smtp.NoTLS, 1025},
		"no TLS, loopback net":  {[]string{"SMTP_HOST=127.9.9.9", "SMTP_TLS=none"}, smtp.NoTLS, 25},
		"no TLS, IPv6 loopback": {[]string{"SMTP_HOST=::1", "SMTP_TLS=none"}, smtp.NoTLS, 25},
	} {
		config, err := load(t, append(c.settings, smtpFrom)...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if s := config.SMTP; s.TLS != c.tls || s.Port != c.port || s.Username != "" || !s.Password.IsZero() || s.RootCAs != nil || s.Service != "Keylodge" || s.PublicURL != "http://localhost:8080" {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

func TestLoad_SMTPCAFile(t *testing.T) {
	ca, file := newTestCA(t)
	config, err := load(t, "SMTP_HOST=smtp.example.org", smtpFrom, "SMTP_CA_FILE="+file)
	if err != nil {
		t.Fatal(err)
	}
	want := x509.NewCertPool()
	want.AddCert(ca)
	if !config.SMTP.RootCAs.Equal(want) {
		t.Error("other certificate authorities are trusted")
	}
}

func TestLoad_RejectsInvalidSMTP(t *testing.T) {
	host := "SMTP_HOST=smtp.example.org"
	_, caFile := newTestCA(t)
	for name, c := range map[string]struct {
		settings              []string
		setting, problem, fix string
	}{
		"port without host":           {[]string{"SMTP_PORT=587"}, "SMTP_PORT", "has no effect without KEYLODGE_SMTP_HOST", "remove this setting"},
		"user name without host":      {[]string{"SMTP_USERNAME=keylodge"}, "SMTP_USERNAME", "has no effect without", "set KEYLODGE_SMTP_HOST"},
		"password without host":       {[]string{"SMTP_PASSWORD=hunter2"}, "SMTP_PASSWORD", "has no effect without", "set KEYLODGE_SMTP_HOST"},
		"sender without host":         {[]string{smtpFrom}, "SMTP_FROM", "has no effect without", "set KEYLODGE_SMTP_HOST"},
		"CA file without host":        {[]string{"SMTP_CA_FILE=ca.pem"}, "SMTP_CA_FILE", "has no effect without", "set KEYLODGE_SMTP_HOST"},
		"TLS without host":            {[]string{"SMTP_TLS=none"}, "SMTP_TLS", "has no effect without", "set KEYLODGE_SMTP_HOST"},
		"two hosts and a comma":       {[]string{"SMTP_HOST=a.example.org,b.example.org", smtpFrom}, "SMTP_HOST", `"a.example.org,b.example.org" is not a host name`, "only the name"},
		"non-ASCII host":              {[]string{"SMTP_HOST=smtp.münchen.example", smtpFrom}, "SMTP_HOST", "not a host name", "only the name"},
		"host with an empty label":    {[]string{"SMTP_HOST=smtp..example.org", smtpFrom}, "SMTP_HOST", "not a host name", "only the name"},
		"host with a scheme":          {[]string{"SMTP_HOST=smtp://example.org", smtpFrom}, "SMTP_HOST", `"smtp://example.org" is not a host name`, "smtp.example.org"},
		"host with a port":            {[]string{"SMTP_HOST=smtp.example.org:587", smtpFrom}, "SMTP_HOST", "not a host name", "KEYLODGE_SMTP_PORT"},
		"host with a password":        {[]string{"SMTP_HOST=smtp://ada:hunter2@smtp.example.org", smtpFrom}, "SMTP_HOST", "not a host name", "only the name"},
		"host with a user name":       {[]string{"SMTP_HOST=ada@smtp.example.org", smtpFrom}, "SMTP_HOST", "not a host name", "only the name"},
		"two hosts":                   {[]string{"SMTP_HOST=smtp.example.org smtp.example.net", smtpFrom}, "SMTP_HOST", "not a host name", "only the name"},
		"no sender":                   {[]string{host}, "SMTP_FROM", "needs a sender", "no-reply@example.org"},
		"sender without an address":   {[]string{host, "SMTP_FROM=Example"}, "SMTP_FROM", `"Example" is not an e-mail address`, "no-reply@example.org"},
		"two senders":                 {[]string{host, "SMTP_FROM=a@example.org, b@example.org"}, "SMTP_FROM", "is not an e-mail address", "no-reply@example.org"},
		"sender at an IP address":     {[]string{host, "SMTP_FROM=ada@192.0.2.1"}, "SMTP_FROM", "is not an e-mail address", "no-reply@example.org"},
		"user name without password":  {[]string{host, smtpFrom, "SMTP_USERNAME=keylodge"}, "SMTP_USERNAME", "must both be set", "KEYLODGE_SMTP_PASSWORD, or neither"},
		"password without user name":  {[]string{host, smtpFrom, "SMTP_PASSWORD=hunter2"}, "SMTP_PASSWORD", "must both be set", "KEYLODGE_SMTP_PASSWORD, or neither"},
		"user name with a line break": {[]string{host, smtpFrom, "SMTP_USERNAME=a\nb", "SMTP_PASSWORD=hunter2"}, "SMTP_USERNAME", "line break", "printf %s"},
		"host, invalid IPv4 address":  {[]string{"SMTP_HOST=192.0.2.256", smtpFrom}, "SMTP_HOST", `"192.0.2.256" is not a host name`, "only the name"},
		"password with a line break":  {[]string{host, smtpFrom, "SMTP_USERNAME=a", "SMTP_PASSWORD=hunter2\n"}, "SMTP_PASSWORD", "line break", "printf %s"},
		"unknown TLS":                 {[]string{host, smtpFrom, "SMTP_TLS=ssl"}, "SMTP_TLS", `"ssl"`, "starttls or tls or none"},
		"no TLS, host name":           {[]string{host, smtpFrom, "SMTP_TLS=none"}, "SMTP_TLS", "codes can be read on the network", "starttls or tls"},
		"no TLS, IP address":          {[]string{"SMTP_HOST=192.0.2.25", smtpFrom, "SMTP_TLS=none"}, "SMTP_TLS", "codes can be read on the network", "starttls or tls"},
		"no TLS, localhost subdomain": {[]string{"SMTP_HOST=localhost.example.org", smtpFrom, "SMTP_TLS=none"}, "SMTP_TLS", "codes can be read on the network", "starttls or tls"},
		"password without TLS":        {[]string{"SMTP_HOST=localhost", smtpFrom, "SMTP_TLS=none", "SMTP_USERNAME=a", "SMTP_PASSWORD=hunter2"}, "SMTP_PASSWORD", "never sent without TLS", "starttls or tls"},
		"CA file without TLS":         {[]string{"SMTP_HOST=localhost", smtpFrom, "SMTP_TLS=none", "SMTP_CA_FILE=" + caFile}, "SMTP_CA_FILE", "has no effect without TLS", "starttls or tls"},
		"STARTTLS on port 465":        {[]string{host, smtpFrom, "SMTP_PORT=465"}, "SMTP_PORT", "from the first byte", "KEYLODGE_SMTP_TLS=tls"},
		"port 0":                      {[]string{host, smtpFrom, "SMTP_PORT=0"}, "SMTP_PORT", "0 is out of range", "from 1 to 65535"},
		"port above 65535":            {[]string{host, smtpFrom, "SMTP_PORT=65536"}, "SMTP_PORT", "65536 is out of range", "from 1 to 65535"},
		"port name":                   {[]string{host, smtpFrom, "SMTP_PORT=submission"}, "SMTP_PORT", "not a number", "from 1 to 65535"},
		"missing CA file":             {[]string{host, smtpFrom, "SMTP_CA_FILE=/nowhere/ca.pem"}, "SMTP_CA_FILE", "/nowhere/ca.pem", "PEM file"},
		"CA file without certificate": {[]string{host, smtpFrom, "SMTP_CA_FILE=" + settings.File(t, "ca.pem", "SMTP_PASSWORD=hunter2\n")}, "SMTP_CA_FILE", "no certificate", "PEM file"},
	} {
		t.Run(name, func(t *testing.T) { wantError(t, c.settings, c.setting, c.problem, c.fix) })
	}
}

func TestLoad_ReportsAllSMTPErrors(t *testing.T) {
	_, err := load(t, "SMTP_HOST=smtp.example.org:25", "SMTP_PORT=many", "SMTP_TLS=none", "SMTP_PASSWORD=hunter2", "SMTP_CA_FILE=/nowhere/ca.pem")
	var errs SettingErrors
	if !errors.As(err, &errs) || len(errs) != 8 || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
	_, err = load(t, "SMTP_PORT=587", "SMTP_USERNAME=keylodge", "SMTP_PASSWORD=hunter2", smtpFrom, "SMTP_CA_FILE=ca.pem")
	if !errors.As(err, &errs) || len(errs) != 5 || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("without a host: %v", err)
	}
}
