package acceptance

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
	"github.com/keylodge/keylodge/acceptance/testkit/client"
	"github.com/keylodge/keylodge/acceptance/testkit/mailserver"
	"github.com/keylodge/keylodge/bootstrap/config"
)

func TestSignUp_StoresLocale(t *testing.T) {
	t.Parallel()
	s := startServer(t, newClock(), nil)
	for name, c := range map[string]struct {
		acceptLanguage string
		locale         *string
		want           string
	}{
		"the language of the browser":          {"de-AT,de;q=0.9,en;q=0.5", nil, "de"},
		"the first language with texts":        {"fr-FR,fr;q=0.9,en-GB;q=0.5", nil, "en"},
		"no language with texts":               {"fr-FR,fr;q=0.9", nil, ""},
		"no language":                          {"", nil, ""},
		"an invalid header":                    {"de;q=x,,;", nil, ""},
		"the language of the request":          {"en", new("De-CH"), "de-CH"},
		"an empty language":                    {"de", new(""), "de"},
		"the language of an app without texts": {"en", new("pt-BR"), "pt-BR"},
	} {
		browser := client.NewBrowser(s.origin, s.transport)
		if c.acceptLanguage != "" {
			browser.Header.Set("Accept-Language", c.acceptLanguage)
		}
		if got := signUpWith(t, s, browser, client.SignUpOptionsRequest{Locale: c.locale}).User.Locale; got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	s.send(t, http.MethodPost, "/v1/signup/options", `{"locale":"de_AT"}`).requireProblem(t, 400, "invalid_request")
}

// signUpWith signs a new user up with the given input.
func signUpWith(t *testing.T, s *server, browser *client.Client, input client.SignUpOptionsRequest) client.SessionResponse {
	t.Helper()
	begun, err := browser.BeginSignUp(input)
	if err != nil {
		t.Fatal(err)
	}
	credential, err := authenticator.New(s.origin).Create(begun.Options)
	if err != nil {
		t.Fatal(err)
	}
	signedUp, err := browser.FinishSignUp(client.SignUpVerifyRequest{ChallengeID: begun.ChallengeID, Credential: credential})
	if err != nil {
		t.Fatal(err)
	}
	return signedUp
}

// An e-mail is in the language that its recipient had when it was queued, and else in that of the server.
func TestEmail_IsInTheUsersLanguage(t *testing.T) {
	t.Parallel()
	clock, mailServer := newClock(), mailserver.Start(t, mailserver.Options{})
	s := startServer(t, clock, func(c *config.Config) {
		c.Language, c.SMTP = "de", smtpConfig(t, mailServer, c.PublicURL)
		c.SMTP.Language = c.Language
	})
	e := &env{t: t, clock: clock, driver: httpDriver{s}, mailServer: mailServer}
	const german, english = "Ihr Code für Keylodge", "Your code for Keylodge"
	var subjects []string
	for _, locale := range []string{"en", "de-AT", "fr", ""} {
		address := "ada" + strings.ToLower(locale) + "@example.org"
		signUpWith(t, s, client.NewBrowser(s.origin, s.transport), client.SignUpOptionsRequest{Locale: &locale, Email: &address})
		subjects = append(subjects, e.lastEmail(address, 1).Subject)
	}
	if want := []string{english, german, german, german}; !slices.Equal(subjects, want) {
		t.Errorf("got %q", subjects)
	}

	browser := client.NewBrowser(s.origin, s.transport)
	signUpWith(t, s, browser, client.SignUpOptionsRequest{Locale: new("de"), Email: new("ben@example.org")})
	e.lastEmail("ben@example.org", 1)
	if changed, err := browser.ChangeAccount(client.AccountRequest{Locale: new("en-GB"), Email: new("ben@example.net")}); err != nil || changed.Locale != "en-GB" {
		t.Fatalf("%+v, %v", changed, err)
	}
	if got := e.lastEmail("ben@example.net", 1).Subject; got != english {
		t.Errorf("after the change: %q", got)
	}
	events, err := browser.Events(10)
	if err != nil || !slices.Equal(events[0].Changed, []string{"locale", "pending_email"}) {
		t.Errorf("%+v, %v", events, err)
	}
}
