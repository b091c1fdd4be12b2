package acceptance

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
	"github.com/keylodge/keylodge/acceptance/testkit/client"
	"github.com/keylodge/keylodge/acceptance/testkit/mailserver"
	"github.com/keylodge/keylodge/bootstrap/config"
)

// registeringUser signs up with an address and continues with requests about it. It records the responses without random
// values, so that the responses for a taken and a free address can be compared.
type registeringUser struct {
	t         *testing.T
	server    *server
	address   string
	responses []string
}

var (
	uuidPattern       = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}`)
	randomPattern     = regexp.MustCompile(`[A-Za-z0-9_-]{40,}(\.[A-Za-z0-9_-]+)*`)
	requestIDPattern  = regexp.MustCompile(`[A-Z2-7]{26}`) // crypto/rand.Text
	accountTagPattern = regexp.MustCompile(`account [0-9A-F]{6}`)
	timePattern       = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`)
)

// browser returns a new browser of the user.
func (u *registeringUser) browser() *client.Client {
	c := client.NewBrowser(u.server.origin, u.server.transport)
	c.OnResponse = func(got *client.Response) {
		stable := string(got.Body)
		for _, pattern := range []*regexp.Regexp{uuidPattern, timePattern, accountTagPattern, randomPattern, requestIDPattern} {
			stable = pattern.ReplaceAllString(stable, pattern.String())
		}
		stable = strings.ReplaceAll(stable, u.address, "the address")
		u.responses = append(u.responses, fmt.Sprintf("%s %s: %d %v %s",
			got.Request.Method, got.Request.URL.Path, got.StatusCode, slices.Sorted(maps.Keys(got.Header)), stable))
	}
	return c
}

func (u *registeringUser) runSignUpFlow() {
	u.t.Helper()
	c := u.browser()
	begun, err := c.BeginSignUp(client.SignUpOptionsRequest{Email: &u.address, DisplayName: new("Mallory")})
	if err != nil {
		u.t.Fatal(err)
	}
	credential, err := authenticator.New(u.server.origin).Create(begun.Options)
	if err != nil {
		u.t.Fatal(err)
	}
	if _, err := c.FinishSignUp(client.SignUpVerifyRequest{ChallengeID: begun.ChallengeID, Credential: credential}); err != nil {
		u.t.Fatal(err)
	}
	for _, request := range []struct {
		method, path string
		body         any
	}{
		{http.MethodGet, "/v1/me", nil},
		{http.MethodGet, "/v1/session", nil},
		{http.MethodGet, "/v1/me/events", nil},
		{http.MethodPost, "/v1/me/email/code", nil},
		{http.MethodPost, "/v1/me/email/confirm", client.CodeRequest{Code: "1234 5678"}},
		{http.MethodPatch, "/v1/me", client.AccountRequest{Email: &u.address}},
		{http.MethodPatch, "/v1/me", map[string]any{"email": nil}},
		{http.MethodPatch, "/v1/me", client.AccountRequest{Email: &u.address}},
		{http.MethodPost, "/v1/me/email/code", nil},
		{http.MethodPost, "/v1/me/email/code", nil},
		{http.MethodPost, "/v1/me/email/code", nil}, // the limit of the mailbox
	} {
		var problem *client.Problem // which is recorded
		if err := c.Call(request.method, request.path, request.body, nil); err != nil && !errors.As(err, &problem) {
			u.t.Fatal(err)
		}
	}
	if _, err := u.browser().BeginSignUp(client.SignUpOptionsRequest{Email: &u.address}); err != nil {
		u.t.Fatal(err)
	}
}

func startServerWithMail(t *testing.T, clock *clock, configure ...func(*config.Config)) (*server, *mailserver.Server) {
	t.Helper()
	mailServer := mailserver.Start(t, mailserver.Options{})
	withMail := func(c *config.Config) { c.SMTP = smtpConfig(t, mailServer, c.PublicURL) }
	return startServer(t, clock, combine(append(configure, withMail)...)), mailServer
}

// Requirement: WebAuthn-14.6.2
func TestSignUp_TakenEmailIsNotRevealedWithMail(t *testing.T) {
	t.Parallel()
	clock := newClock()
	s, mailServer := startServerWithMail(t, clock)
	e := &env{t: t, clock: clock, driver: httpDriver{s}, mailServer: mailServer}
	const taken, free = "ada@example.org", "eve@example.org"
	e.personWithVerifiedEmail("Ada", phone, taken)
	clock.advance(time.Hour)
	one, other := &registeringUser{t: t, server: s, address: taken}, &registeringUser{t: t, server: s, address: free}
	one.runSignUpFlow()
	other.runSignUpFlow()
	for i := range one.responses {
		if one.responses[i] != other.responses[i] {
			t.Errorf("taken: %s\nfree:  %s", one.responses[i], other.responses[i])
		}
	}
	if !strings.Contains(one.responses[len(one.responses)-2], "429") {
		t.Errorf("the limit of the mailbox was not reached: %s", one.responses[len(one.responses)-2])
	}
	e.lastEmail(free, 5)
	e.lastEmail(taken, 6)
}

func TestConfig_ReportsMail(t *testing.T) {
	t.Parallel()
	with, _ := startServerWithMail(t, newClock())
	for want, s := range map[string]*server{"on": with, "off": startServer(t, newClock(), nil)} {
		if config, err := client.New(s.origin, s.transport).Config(); err != nil || config.Mail != want {
			t.Errorf("mail %q (%v), want %q", config.Mail, err, want)
		}
	}
}

func TestConfirmEmail_UnavailableWithoutMail(t *testing.T) {
	t.Parallel()
	s := startServer(t, newClock(), nil)
	_, signedUp := signUpWithHeaders(t, s, s.origin)
	headers := []string{"Cookie", sessionCookieOf(t, signedUp), "X-CSRF-Token", signedUp.csrfToken(t)}
	s.send(t, http.MethodPatch, "/v1/me", `{"email":"ada@example.org"}`, headers...)
	s.send(t, http.MethodPost, "/v1/me/email/code", "", headers...).requireProblem(t, 404, "not_found")
	s.send(t, http.MethodPost, "/v1/me/email/confirm", `{"code":"1234 5678"}`, headers...).requireProblem(t, 404, "not_found")
	var me struct {
		User struct {
			Email    *string
			Verified bool    `json:"email_verified"`
			Pending  *string `json:"pending_email"`
		}
	}
	if err := json.Unmarshal(s.send(t, http.MethodGet, "/v1/me", "", headers...).Body, &me); err != nil ||
		!reflect.DeepEqual(me.User.Email, new("ada@example.org")) || me.User.Verified || me.User.Pending != nil {
		t.Errorf("the account is %+v, error %v, want an address that is neither verified nor pending", me, err)
	}
}
