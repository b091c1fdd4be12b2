package config

import (
	"net"
	"net/mail"
	"net/url"
	"path/filepath"

	"github.com/keylodge/keylodge/adapters/smtp"
)

// LoadForDevelopment is Load for the development mode. The database is a new file in the folder, whose key file is generated, rate
// limits are off, and SMTP names no server, because the caller sets a Mailbox. The settings of these things are ignored, so that the
// settings of a real server do no harm. It returns SettingErrors unless the server is for this machine only.
func LoadForDevelopment(folder string) (Config, error) {
	config, err := loadWith(func(e *environment) {
		e.DatabaseURL, e.Secret, e.PreviousSecrets = "sqlite:"+filepath.Join(folder, "keylodge.db"), "", ""
		e.SMTPHost, e.SMTPPort, e.SMTPTLS, e.SMTPUsername, e.SMTPPassword, e.SMTPFrom, e.SMTPCAFile = "", "", "", "", "", "", ""
		e.RateLimits, e.RateLimitURL = "off", ""
	})
	if err != nil {
		return Config{}, err
	}
	var errs SettingErrors
	if host, _, err := net.SplitHostPort(config.Listen); err != nil || !IsLoopback(host) {
		errs = append(errs, SettingError{prefix + "_LISTEN", "the development mode serves this machine only", "write 127.0.0.1:8080, or another port"})
	}
	if public, err := url.Parse(config.PublicURL); err != nil || !IsLoopback(public.Hostname()) {
		errs = append(errs, SettingError{prefix + "_PUBLIC_URL", "the development mode serves this machine only", "remove it, or write http://localhost and the port"})
	}
	if len(errs) > 0 {
		return Config{}, errs
	}
	config.SMTP = &smtp.Config{
		Host: "localhost", Port: defaultSMTPPort(smtp.NoTLS), TLS: smtp.NoTLS, From: mail.Address{Name: config.RPName, Address: "keylodge@localhost.example"},
		Service: config.RPName, Language: config.Language, Brand: config.emailBrand(), PublicURL: config.PublicURL,
	}
	return config, nil
}
