package smtp

import (
	"bytes"
	"errors"
	"net/mail"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/locales"
	"github.com/keylodge/keylodge/ports"
)

// fullEmail returns an e-mail with all details.
func fullEmail(t *testing.T, kind domain.EmailKind, by domain.Actor) ports.OutgoingEmail {
	t.Helper()
	email := codeEmail(t)
	email.Email.Kind = kind
	email.Email.Details = domain.EmailDetails{At: noon, Actor: by, PasskeyName: "Ada's key", DeviceName: "Firefox on Linux", IP: "2001:db8::7"}
	return email
}

// render returns the subject and the plain text of an e-mail.
func render(mailer *Mailer, email ports.OutgoingEmail) (subject, text string, err error) {
	texts := locales.Of(mailer.config.Language)
	subject, subjectErr := mailer.subject(email, texts)
	c, err := mailer.content(email, texts, plainText)
	return subject, mailer.text(c), errors.Join(subjectErr, err)
}

var linkPattern = regexp.MustCompile(`\w+://\S*|\bwww\.\S*|\S+@\S+`)

func TestRender_AllKinds(t *testing.T) {
	mailer := newTestMailer(t)
	for _, language := range locales.Languages() {
		mailer.config.Language = language
		for _, kind := range domain.EmailKinds {
			for _, by := range []domain.Actor{domain.ActorUser, domain.ActorOperator} {
				full := fullEmail(t, kind, by)
				bare := codeEmail(t)
				bare.Email.Kind, bare.Email.Details.Actor = kind, by
				for _, email := range []ports.OutgoingEmail{full, bare} {
					subject, text, err := render(mailer, email)
					if err != nil {
						t.Errorf("%s, %s: %v", language, kind, err)
						continue
					}
					if subject == "" || len([]rune(subject)) > 100 || strings.Contains(subject, "\n") || !strings.Contains(subject, "Schlüssel & Söhne") {
						t.Errorf("%s, %s has the subject %q", language, kind, subject)
					}
					for _, wrong := range []string{"\n\n\n", "{", "}", "“”", "„“", ": \n", " .", "  \n", "&amp;", "&#39;"} {
						if strings.Contains(text, wrong) {
							t.Errorf("%s, %s by %s contains %q:\n%s", language, kind, by, wrong, text)
						}
					}
					if text != strings.TrimSpace(text)+"\n" {
						t.Errorf("%s, %s by %s begins or ends with white space:\n%q", language, kind, by, text)
					}
					for _, link := range linkPattern.FindAllString(text, -1) {
						if strings.TrimRight(link, ".,") != "https://id.example.org" {
							t.Errorf("%s, %s links to %s", language, kind, link)
						}
					}
					footer := locales.Of(language).Mail.Footer.Expand(unchanged, map[string]string{"service": "Schlüssel & Söhne"})
					if !strings.HasSuffix(text, "\n-- \nSchlüssel & Söhne, https://id.example.org\n"+footer+"\n") {
						t.Errorf("%s, %s lacks the address of the service, or the sentence about codes:\n%s", language, kind, text)
					}
					if has := strings.Contains(text, "\n\n    1234 5678\n\n"); has != (kind == domain.EmailKindVerificationCode) {
						t.Errorf("%s, %s shows a code: %t", language, kind, has)
					}
				}
				if kind != domain.EmailKindVerificationCode {
					requireFacts(t, mailer, full)
				}
			}
		}
	}
}

// requireFacts requires the facts that an e-mail with all details has.
func requireFacts(t *testing.T, mailer *Mailer, email ports.OutgoingEmail) {
	t.Helper()
	_, text, err := render(mailer, email)
	if err != nil {
		t.Fatal(err)
	}
	language, kind, byUser := mailer.config.Language, email.Email.Kind, email.Email.Details.Actor == domain.ActorUser
	facts := map[locales.Language][4]string{
		"en": {"When: 1 August 2026, 10:00 UTC\n", "Device: Firefox on Linux\n", "IP address: 2001:db8::7\n", "By: the operator of Schlüssel & Söhne\n"},
		"de": {"Zeit: 1. August 2026, 10:00 Uhr UTC\n", "Gerät: Firefox on Linux\n", "IP-Adresse: 2001:db8::7\n", "Durch: den Betreiber von Schlüssel & Söhne\n"},
	}[language]
	for i, included := range []bool{true, byUser, byUser, !byUser} {
		if strings.Contains(text, facts[i]) != included || facts[i] == "" {
			t.Errorf("%s, %s contains %q: %t, in\n%s", language, kind, facts[i], !included, text)
		}
	}
	quoted := map[locales.Language]string{"en": "“Ada's key”", "de": "„Ada's key“"}[language]
	if aboutPasskey := strings.HasPrefix(string(kind), "passkey_") || kind == domain.EmailKindRecovered; strings.Contains(text, quoted) != aboutPasskey {
		t.Errorf("%s, %s names the passkey: %t", language, kind, !aboutPasskey)
	}
}

// A notification says how and where to undo an action by another person, and whom to ask otherwise (NIST SP 800-63B-4, section
// 4.6).
// Requirement: ASVS-7.4.3, NIST-4.6
func TestRender_SaysHowToUndo(t *testing.T) {
	mailer := newTestMailer(t)
	changesNothing := []domain.EmailKind{domain.EmailKindVerificationCode, domain.EmailKindAddressTaken} // until the code is entered
	cannotBeUndone := []domain.EmailKind{domain.EmailKindAccountDeleted}
	sentences := map[locales.Language]struct{ denied, undone, operator *regexp.Regexp }{
		"en": {
			denied:   regexp.MustCompile(`If (it was not you|you did not ask for it|you do not know (why|this device))`),
			undone:   regexp.MustCompile(`(?i)(remove|end all other sessions|make (new )?backup codes|set your address again|sign in with a passkey)`),
			operator: regexp.MustCompile(`operator of Schlüssel & Söhne`),
		},
		"de": {
			denied:   regexp.MustCompile(`Wenn (Sie das nicht waren|nicht Sie|Sie nicht darum gebeten haben|Sie (den Grund|dieses Gerät) nicht kennen)`),
			undone:   regexp.MustCompile(`(?i)(entfernen Sie|alle anderen Sitzungen|erstellen Sie (neue|eigene) Backup-Codes|tragen Sie Ihre Adresse wieder ein|melden Sie sich mit einem Passkey an)`),
			operator: regexp.MustCompile(`Betreiber von Schlüssel & Söhne`),
		},
	}
	for _, language := range locales.Languages() {
		mailer.config.Language = language
		says, known := sentences[language]
		if !known {
			t.Fatalf("add the sentences in %s to this test", language)
		}
		for _, kind := range domain.EmailKinds {
			for _, by := range []domain.Actor{domain.ActorUser, domain.ActorOperator} {
				_, text, err := render(mailer, fullEmail(t, kind, by))
				if err != nil {
					t.Fatal(err)
				}
				body, _, _ := strings.Cut(text, "\n-- \n") // without the signature, which has the address, too
				switch {
				case slices.Contains(changesNothing, kind):
				case !says.denied.MatchString(body), !says.operator.MatchString(body):
					t.Errorf("%s, %s by %s does not say what to do, or whom to ask, if it was another person:\n%s", language, kind, by, body)
				case by == domain.ActorUser && !slices.Contains(cannotBeUndone, kind) && (!says.undone.MatchString(body) || !strings.Contains(body, "https://id.example.org")):
					t.Errorf("%s, %s does not say how and where to undo it:\n%s", language, kind, body)
				}
			}
		}
	}
}

func TestLanguage_OfRecipientOrServer(t *testing.T) {
	mailer := newTestMailer(t)
	for locale, want := range map[domain.Locale]locales.Language{"": "de", "fr": "de", "en-GB": "en", "de-AT": "de"} {
		if mailer.config.Language = "de"; mailer.language(locale) != want {
			t.Errorf("%q: %s, want %s", locale, mailer.language(locale), want)
		}
	}
}

func TestCompose_FailsWithoutTextOrCode(t *testing.T) {
	mailer := newTestMailer(t)
	withoutCode, unknown := codeEmail(t), codeEmail(t)
	withoutCode.Code = domain.Secret{}
	unknown.Email.Kind = "passkey_polished"
	for _, email := range []ports.OutgoingEmail{withoutCode, unknown} {
		if message, err := mailer.message(email); err == nil {
			t.Errorf("%s was composed as %v", email.Email.Kind, message)
		}
	}
}

// An attacker may have chosen these names.
func TestCompose_SanitizesUserInput(t *testing.T) {
	mailer := newTestMailer(t)
	const evil = "key\r\nBcc: mallory@example.net\r\n\r\nSign in at https://evil.example or www.evil.example/\u2028\u202eelpmaxe\x00\xff"
	email := fullEmail(t, domain.EmailKindPasskeyAdded, domain.ActorUser)
	email.Email.Details.PasskeyName, email.Email.Details.DeviceName, email.Email.Details.IP = evil, evil+strings.Repeat("x", 1000), "127.0.0.1\r\nBcc: x"
	composed, err := mailer.message(email)
	if err != nil {
		t.Fatal(err)
	}
	var raw bytes.Buffer
	if _, err := composed.WriteTo(&raw); err != nil {
		t.Fatal(err)
	}
	parsed, err := mail.ReadMessage(&raw)
	if err != nil {
		t.Fatal(err)
	}
	if len(parsed.Header) != 9 || parsed.Header.Get("Bcc") != "" {
		t.Errorf("the header is %q", parsed.Header)
	}
	_, text, err := render(mailer, email)
	if err != nil {
		t.Fatal(err)
	}
	const name = "key Bcc mallory example.net"
	if !strings.Contains(text, "“key Bcc mallory example net Sign in at https evil example or") || !strings.Contains(text, "\nDevice: key Bcc mallory") {
		t.Errorf("%q is not one line without links:\n%s", name, text)
	}
	for _, line := range strings.Split(text, "\n") {
		if strings.HasPrefix(line, "Bcc") || strings.HasPrefix(line, "Device") && len([]rune(line)) > 64+len("Device: ") || strings.HasPrefix(line, "IP") {
			t.Errorf("the name adds a line: %q", line)
		}
	}
	if strings.Contains(text, "evil.") || strings.ContainsAny(text, "\u202e\u2028\x00\r") {
		t.Errorf("not removed: %q", text)
	}
}

func TestStripLinks_OrdinaryNamesUnchanged(t *testing.T) {
	for _, name := range []string{"Ada's key", "YubiKey 5.2 (blue)", "👩‍🚀 Ωmega", "Chrome on Windows 10.0", "Key No. 2"} {
		if got := stripLinks(name); got != name {
			t.Errorf("%q became %q", name, got)
		}
	}
}

func TestNew_RejectsInvalidConfig(t *testing.T) {
	for name, but := range map[string]func(*Config){
		"no host":                 func(c *Config) { c.Host = "" },
		"no port":                 func(c *Config) { c.Port = 0 },
		"an impossible port":      func(c *Config) { c.Port = 65536 },
		"TLS not set":             func(c *Config) { c.TLS = 0 },
		"an unknown TLS":          func(c *Config) { c.TLS = NoTLS + 1 },
		"a user, no password":     func(c *Config) { c.Password = domain.Secret{} },
		"a password, no user":     func(c *Config) { c.Username = "" },
		"a password, no TLS":      func(c *Config) { c.TLS = NoTLS },
		"no sender":               func(c *Config) { c.From = mail.Address{} },
		"a sender without domain": func(c *Config) { c.From = mail.Address{Address: "noreply"} },
		"no service":              func(c *Config) { c.Service = "" },
		"no URL":                  func(c *Config) { c.PublicURL = "id.example.org" },
	} {
		config := Config{
			Host: "mail.example.org", Port: 587, TLS: STARTTLS, Username: "keylodge", Password: domain.NewSecret("correct-horse"),
			From: fromAddress, Service: "Keylodge", PublicURL: "https://id.example.org",
		}
		if _, err := New(config); err != nil {
			t.Fatal(err)
		}
		but(&config)
		if _, err := New(config); err == nil || strings.Contains(err.Error(), "correct-horse") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLocalName(t *testing.T) {
	for want, candidates := range map[string][]string{
		"id.example.org": {"id.example.org", "example.org"},
		"example.org":    {"localhost", "example.org"},
		"example.net":    {"192.0.2.7", "example.net"},
		"localhost":      {"2001:db8::7", "localhost"},
	} {
		if got := localName(candidates...); got != want {
			t.Errorf("of %q: %s", candidates, got)
		}
	}
}

func newTestMailer(t *testing.T) *Mailer {
	t.Helper()
	mailer, err := New(configFor(t, "127.0.0.1:25"))
	if err != nil {
		t.Fatal(err)
	}
	return mailer
}
