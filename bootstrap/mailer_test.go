package bootstrap

import (
	"testing"

	"github.com/keylodge/keylodge/domain"
)

func TestMailer_RequiresSMTPHost(t *testing.T) {
	for host, want := range map[string]domain.EmailPolicy{"": domain.EmailOff, "smtp.example.org": domain.EmailOn} {
		lines := []string{"SMTP_HOST=" + host}
		if host != "" {
			lines = append(lines, "SMTP_FROM=no-reply@example.org")
		}
		cfg, err := load(t, lines...)
		if err != nil {
			t.Fatal(err)
		}
		sender, err := mailer(cfg)
		if err != nil || (sender != nil) != bool(want) || emailPolicy(cfg) != want {
			t.Errorf("%q: mailer %v, policy %v, error %v", host, sender, emailPolicy(cfg), err)
		}
	}
}
