package acceptance

import (
	"encoding/json"
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
	headers   []string
	responses []string
}

var (
	uuidPattern       = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}`)
	randomPattern     = regexp.MustCompile(`[A-Za-z0-9_-]{40,}(\.[A-Za-z0-9_-]+)*`)
	requestIDPattern  = regexp.MustCompile(`[A-Z2-7]{26}`) // crypto/rand.Text
	accountTagPattern = regexp.MustCompile(`account [0-9A-F]{6}`)
	timePattern       = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`)
)

func (u *registeringUser) send(method, path string, body any) apiResponse {
	u.t.Helper()
	text := ""
	if body != nil {
		text = string(encode(u.t, body))
	}
	got := u.server.send(u.t, method, path, text, u.headers...)
	stable := string(got.body)
	for _, pattern := range []*regexp.Regexp{uuidPattern, timePattern, accountTagPattern, randomPattern, requestIDPattern} {
		stable = pattern.ReplaceAllString(stable, pattern.String())
	}
	stable = strings.ReplaceAll(stable, u.address, "the address")
	u.responses = append(u.responses, fmt.Sprintf("%s %s: %d %v %s", method, path, got.StatusCode, slices.Sorted(maps.Keys(got.Header)), stable))
	return got
}

func (u *registeringUser) runSignUpFlow() {
	u.t.Helper()
	var begun client.Ceremony
	if err := json.Unmarshal(u.send(http.MethodPost, "/v1/signup/options", map[string]string{"email": u.address, "display_name": "Mallory"}).body, &begun); err != nil {
		u.t.Fatal(err)
	}
	credential, err := authenticator.New(u.server.origin).Create(begun.Options)
	if err != nil {
		u.t.Fatal(err)
	}
	signedUp := u.send(http.MethodPost, "/v1/signup/verify", map[string]any{"challenge_id": begun.ChallengeID, "credential": credential})
	if signedUp.StatusCode != 201 {
		u.t.Fatalf("status %d, body %s", signedUp.StatusCode, signedUp.body)
	}
	u.headers = []string{"Cookie", sessionCookieOf(u.t, signedUp), "X-CSRF-Token", signedUp.csrfToken(u.t)}
	u.send(http.MethodGet, "/v1/me", nil)
	u.send(http.MethodGet, "/v1/session", nil)
	u.send(http.MethodGet, "/v1/me/events", nil)
	u.send(http.MethodPost, "/v1/me/email/code", nil)
	u.send(http.MethodPost, "/v1/me/email/confirm", map[string]string{"code": "1234 5678"})
	u.send(http.MethodPatch, "/v1/me", map[string]string{"email": u.address})
	u.send(http.MethodPatch, "/v1/me", map[string]any{"email": nil})
	u.send(http.MethodPatch, "/v1/me", map[string]string{"email": u.address})
	for range 3 {
		u.send(http.MethodPost, "/v1/me/email/code", nil) // until the limit of the mailbox
	}
	u.headers = nil
	u.send(http.MethodPost, "/v1/signup/options", map[string]string{"email": u.address})
}

func startServerWithMail(t *testing.T, clock *clock) (*server, *mailserver.Server) {
	t.Helper()
	mailServer := mailserver.Start(t, mailserver.Options{})
	return startServer(t, clock, func(c *config.Config) { c.SMTP = smtpConfig(t, mailServer, c.PublicURL) }), mailServer
}

// Requirement: WebAuthn-14.6.2
func TestSignUp_TakenEmailIsNotRevealedWithMail(t *testing.T) {
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
	with, _ := startServerWithMail(t, newClock())
	for want, s := range map[string]*server{"on": with, "off": startServer(t, newClock(), nil)} {
		var config struct{ Mail string }
		if err := json.Unmarshal(s.send(t, http.MethodGet, "/v1/config", "").body, &config); err != nil || config.Mail != want {
			t.Errorf("mail %q (%v), want %q", config.Mail, err, want)
		}
	}
}

func TestConfirmEmail_UnavailableWithoutMail(t *testing.T) {
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
	if err := json.Unmarshal(s.send(t, http.MethodGet, "/v1/me", "", headers...).body, &me); err != nil ||
		!reflect.DeepEqual(me.User.Email, new("ada@example.org")) || me.User.Verified || me.User.Pending != nil {
		t.Errorf("the account is %+v, error %v, want an address that is neither verified nor pending", me, err)
	}
}

func TestEmailCode_OnlyInTheEmail(t *testing.T) {
	s, mailServer := startServerWithMail(t, newClock())
	e := &env{t: t, clock: newClock(), driver: httpDriver{s}, mailServer: mailServer}
	ada := e.person("Ada", phone)
	ada.signsUpWithEmail("ada@example.org")
	code := e.codeIn(e.lastEmail("ada@example.org", 1))
	ada.requireOK(ada.device.confirmEmail(code))
	for _, form := range []string{code, strings.ReplaceAll(code, " ", ""), "ada@example.org"} {
		if strings.Contains(s.log.text(), form) {
			t.Errorf("the log has the secret %s", form)
		}
	}
}
