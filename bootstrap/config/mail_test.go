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

	"github.com/keylodge/keylodge/acceptance/settings"
	"github.com/keylodge/keylodge/adapters/smtp"
	"github.com/keylodge/keylodge/domain"
)

const smtpFrom = "SMTP_FROM=Example <no-reply@example.org>"

// newTestCA is one that a mail server's certificate may come from, and a file with its certificate.
func newTestCA(t *testing.T) (*x509.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Example CA"}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	raw, err := x509.CreateCertificate(rand.Reader, about, about, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	made, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	return made, settings.File(t, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw})))
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
		From: mail.Address{Name: "Example", Address: "no-reply@example.org"}, Service: "Example", PublicURL: "https://id.example.org",
	}
	if *config.SMTP != want {
		t.Errorf("got  %+v\nwant %+v", config.SMTP, want)
	}
}

// What is not said is safe: encrypted, and with the port that goes with how.
func TestLoad_SMTPDefaults(t *testing.T) {
	for name, c := range map[string]struct {
		settings []string
		tls      smtp.TLS
		port     int
	}{
		"nothing":              {[]string{"SMTP_HOST=smtp.example.org"}, smtp.STARTTLS, 587},
		"an empty TLS":         {[]string{"SMTP_HOST=smtp.example.org", "SMTP_TLS="}, smtp.STARTTLS, 587},
		"the port":             {[]string{"SMTP_HOST=smtp.example.org", "SMTP_TLS=starttls"}, smtp.STARTTLS, 587},
		"the port of tls":      {[]string{"SMTP_HOST=smtp.example.org", "SMTP_TLS=tls"}, smtp.ImplicitTLS, 465},
		"the port of none":     {[]string{"SMTP_HOST=localhost", "SMTP_TLS=none"}, smtp.NoTLS, 25},
		"tls, but the port":    {[]string{"SMTP_HOST=smtp.example.org", "SMTP_PORT=1"}, smtp.STARTTLS, 1},
		"the greatest port":    {[]string{"SMTP_HOST=smtp.example.org", "SMTP_PORT=65535"}, smtp.STARTTLS, 65535},
		"by IP":                {[]string{"SMTP_HOST=192.0.2.25"}, smtp.STARTTLS, 587},
		"by IPv6":              {[]string{"SMTP_HOST=2001:db8::25"}, smtp.STARTTLS, 587},
		"none on this machine": {[]string{"SMTP_HOST=127.0.0.1", "SMTP_TLS=none", "SMTP_PORT=1025"}, smtp.NoTLS, 1025},
		"none likewise":        {[]string{"SMTP_HOST=127.9.9.9", "SMTP_TLS=none"}, smtp.NoTLS, 25},
		"none by IPv6":         {[]string{"SMTP_HOST=::1", "SMTP_TLS=none"}, smtp.NoTLS, 25},
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
		t.Error("others are trusted")
	}
}

func TestLoad_RejectsInvalidSMTP(t *testing.T) {
	host := "SMTP_HOST=smtp.example.org"
	_, authorityFile := newTestCA(t)
	for name, c := range map[string]struct {
		settings []string
		setting  string // that must be named
		says     string
		fix      string
	}{
		"a port without a server":      {[]string{"SMTP_PORT=587"}, "SMTP_PORT", "does nothing without KEYLODGE_SMTP_HOST", "remove this one"},
		"a name without a server":      {[]string{"SMTP_USERNAME=keylodge"}, "SMTP_USERNAME", "does nothing without", "name the mail server"},
		"a password without a server":  {[]string{"SMTP_PASSWORD=hunter2"}, "SMTP_PASSWORD", "does nothing without", "name the mail server"},
		"a sender without a server":    {[]string{smtpFrom}, "SMTP_FROM", "does nothing without", "name the mail server"},
		"an authority without one":     {[]string{"SMTP_CA_FILE=ca.pem"}, "SMTP_CA_FILE", "does nothing without", "name the mail server"},
		"a server with a scheme":       {[]string{"SMTP_HOST=smtp://example.org", smtpFrom}, "SMTP_HOST", "not the name of a machine", "smtp.example.org"},
		"a server with its port":       {[]string{"SMTP_HOST=smtp.example.org:587", smtpFrom}, "SMTP_HOST", "not the name of a machine", "KEYLODGE_SMTP_PORT"},
		"a server with a password":     {[]string{"SMTP_HOST=smtp://ada:hunter2@smtp.example.org", smtpFrom}, "SMTP_HOST", "not the name of a machine", "the name alone"},
		"a server with a name":         {[]string{"SMTP_HOST=ada@smtp.example.org", smtpFrom}, "SMTP_HOST", "not the name of a machine", "the name alone"},
		"a TLS without a server":       {[]string{"SMTP_TLS=none"}, "SMTP_TLS", "does nothing without", "name the mail server"},
		"a password without TLS":       {[]string{"SMTP_HOST=localhost", smtpFrom, "SMTP_TLS=none", "SMTP_USERNAME=a", "SMTP_PASSWORD=hunter2"}, "SMTP_PASSWORD", "never sent without TLS", "starttls or tls"},
		"two servers":                  {[]string{"SMTP_HOST=smtp.example.org smtp.example.net", smtpFrom}, "SMTP_HOST", "not the name of a machine", "the name alone"},
		"no sender":                    {[]string{host}, "SMTP_FROM", "needs a sender", "no-reply@example.org"},
		"a sender without an address":  {[]string{host, "SMTP_FROM=Example"}, "SMTP_FROM", `"Example" is not an address`, "no-reply@example.org"},
		"two senders":                  {[]string{host, "SMTP_FROM=a@example.org, b@example.org"}, "SMTP_FROM", "is not an address", "no-reply@example.org"},
		"a name and no password":       {[]string{host, smtpFrom, "SMTP_USERNAME=keylodge"}, "SMTP_USERNAME", "one of them is missing", "KEYLODGE_SMTP_PASSWORD, or neither"},
		"a password and no name":       {[]string{host, smtpFrom, "SMTP_PASSWORD=hunter2"}, "SMTP_PASSWORD", "one of them is missing", "KEYLODGE_SMTP_PASSWORD, or neither"},
		"a TLS that is not":            {[]string{host, smtpFrom, "SMTP_TLS=ssl"}, "SMTP_TLS", `"ssl" is not one of`, "starttls or tls or none"},
		"none elsewhere":               {[]string{host, smtpFrom, "SMTP_TLS=none"}, "SMTP_TLS", "anybody on the way reads", "starttls or tls"},
		"none at an IP":                {[]string{"SMTP_HOST=192.0.2.25", smtpFrom, "SMTP_TLS=none"}, "SMTP_TLS", "anybody on the way reads", "starttls or tls"},
		"none at a name like this one": {[]string{"SMTP_HOST=localhost.example.org", smtpFrom, "SMTP_TLS=none"}, "SMTP_TLS", "anybody on the way reads", "starttls or tls"},
		"an authority without TLS":     {[]string{"SMTP_HOST=localhost", smtpFrom, "SMTP_TLS=none", "SMTP_CA_FILE=" + authorityFile}, "SMTP_CA_FILE", "does nothing without TLS", "starttls or tls"},
		"STARTTLS where TLS comes 1st": {[]string{host, smtpFrom, "SMTP_PORT=465"}, "SMTP_PORT", "from the first byte", "KEYLODGE_SMTP_TLS=tls"},
		"a password's line break":      {[]string{host, smtpFrom, "SMTP_USERNAME=a", "SMTP_PASSWORD=hunter2\n"}, "SMTP_PASSWORD", "line break", "without"},
		"a sender at an address":       {[]string{host, "SMTP_FROM=ada@192.0.2.1"}, "SMTP_FROM", "is not an address", "no-reply@example.org"},
		"port 0":                       {[]string{host, smtpFrom, "SMTP_PORT=0"}, "SMTP_PORT", "0 is out of range", "from 1 to 65535"},
		"a port beyond the last":       {[]string{host, smtpFrom, "SMTP_PORT=65536"}, "SMTP_PORT", "65536 is out of range", "from 1 to 65535"},
		"a port by name":               {[]string{host, smtpFrom, "SMTP_PORT=submission"}, "SMTP_PORT", "not a number", "from 1 to 65535"},
		"a file that is not there":     {[]string{host, smtpFrom, "SMTP_CA_FILE=/nowhere/ca.pem"}, "SMTP_CA_FILE", "/nowhere/ca.pem", "PEM file"},
		"a file without a certificate": {[]string{host, smtpFrom, "SMTP_CA_FILE=" + settings.File(t, "ca.pem", "SMTP_PASSWORD=hunter2\n")}, "SMTP_CA_FILE", "no certificate", "PEM file"},
	} {
		t.Run(name, func(t *testing.T) {
			config, err := load(t, c.settings...)
			var faults SettingErrors
			if !errors.As(err, &faults) || len(faults) != 1 || faults[0].Setting != "KEYLODGE_"+c.setting {
				t.Fatalf("got %+v, %v", config, err)
			}
			if !strings.Contains(faults[0].Problem, c.says) || !strings.Contains(faults[0].Fix, c.fix) {
				t.Errorf("%v\ndoes not say %q and %q", err, c.says, c.fix)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("a secret was told: %v", err)
			}
		})
	}
}

func TestLoad_ReportsAllSMTPErrors(t *testing.T) {
	_, err := load(t, "SMTP_HOST=smtp.example.org:25", "SMTP_PORT=many", "SMTP_TLS=none", "SMTP_PASSWORD=hunter2", "SMTP_CA_FILE=/nowhere/ca.pem")
	var faults SettingErrors
	if !errors.As(err, &faults) || len(faults) != 8 || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
	_, err = load(t, "SMTP_PORT=587", "SMTP_USERNAME=keylodge", "SMTP_PASSWORD=hunter2", smtpFrom, "SMTP_CA_FILE=ca.pem")
	if !errors.As(err, &faults) || len(faults) != 5 || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("without a server: %v", err)
	}
}
