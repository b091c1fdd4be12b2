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

	"github.com/keylodge/keylodge/acceptance/authenticator"
	"github.com/keylodge/keylodge/acceptance/mailserver"
	"github.com/keylodge/keylodge/bootstrap"
)

// registeringUser is somebody who signs up with an address and goes on from there, request by request. What they were answered is
// kept as whoever wants to tell a taken address from a free one would read it: without what is drawn anew each time.
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

func (c *registeringUser) send(method, path string, body any) apiResponse {
	c.t.Helper()
	text := ""
	if body != nil {
		text = string(encode(c.t, body))
	}
	got := c.server.send(c.t, method, path, text, c.headers...)
	worn := string(got.body)
	for _, drawn := range []*regexp.Regexp{uuidPattern, timePattern, accountTagPattern, randomPattern, requestIDPattern} {
		worn = drawn.ReplaceAllString(worn, drawn.String())
	}
	worn = strings.ReplaceAll(worn, c.address, "the address")
	c.responses = append(c.responses, fmt.Sprintf("%s %s: %d %v %s", method, path, got.StatusCode, slices.Sorted(maps.Keys(got.Header)), worn))
	return got
}

func (c *registeringUser) runSignUpFlow() {
	c.t.Helper()
	var begun ceremonyResponse
	if err := json.Unmarshal(c.send(http.MethodPost, "/v1/signup/options", map[string]string{"email": c.address, "display_name": "Mallory"}).body, &begun); err != nil {
		c.t.Fatal(err)
	}
	made, err := authenticator.New(c.server.origin).Create(begun.Options)
	if err != nil {
		c.t.Fatal(err)
	}
	entered := c.send(http.MethodPost, "/v1/signup/verify", map[string]any{"challenge_id": begun.ChallengeID, "credential": made})
	if entered.StatusCode != 201 {
		c.t.Fatalf("%d %s", entered.StatusCode, entered.body)
	}
	c.headers = []string{"Cookie", sessionCookieOf(c.t, entered), "X-CSRF-Token", entered.csrfToken(c.t)}
	c.send(http.MethodGet, "/v1/me", nil)
	c.send(http.MethodGet, "/v1/session", nil)
	c.send(http.MethodGet, "/v1/me/events", nil)
	c.send(http.MethodPost, "/v1/me/email/code", nil)
	c.send(http.MethodPost, "/v1/me/email/confirm", map[string]string{"code": "1234 5678"})
	c.send(http.MethodPatch, "/v1/me", map[string]string{"email": c.address})
	c.send(http.MethodPatch, "/v1/me", map[string]any{"email": nil})
	c.send(http.MethodPatch, "/v1/me", map[string]string{"email": c.address})
	for range 3 {
		c.send(http.MethodPost, "/v1/me/email/code", nil) // until the mailbox has enough
	}
	c.headers = nil
	c.send(http.MethodPost, "/v1/signup/options", map[string]string{"email": c.address})
}

func startServerWithMail(t *testing.T, clock *clock) (*server, *mailserver.Server) {
	t.Helper()
	post := mailserver.Start(t, mailserver.Options{})
	return startServer(t, clock, func(c *bootstrap.Config) { c.SMTP = smtpConfig(t, post, c.PublicURL) }), post
}

func TestSignUp_TakenEmailIsNotRevealedWithMail(t *testing.T) {
	clock := newClock()
	s, post := startServerWithMail(t, clock)
	l := &env{t: t, clock: clock, driver: httpDriver{s}, mailServer: post}
	const taken, free = "ada@example.org", "eve@example.org"
	l.personWithVerifiedEmail("Ada", phone, taken)
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
		t.Errorf("the mailbox never had enough: %s", one.responses[len(one.responses)-2])
	}
	l.lastEmail(free, 5)
	l.lastEmail(taken, 6)
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
	_, entered := signUpWithHeaders(t, s, s.origin)
	headers := []string{"Cookie", sessionCookieOf(t, entered), "X-CSRF-Token", entered.csrfToken(t)}
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
		t.Errorf("%+v, %v", me, err)
	}
}

func TestEmailCode_OnlyInTheEmail(t *testing.T) {
	s, post := startServerWithMail(t, newClock())
	l := &env{t: t, clock: newClock(), driver: httpDriver{s}, mailServer: post}
	ada := l.person("Ada", phone)
	ada.signsUpWithEmail("ada@example.org")
	code := l.codeIn(l.lastEmail("ada@example.org", 1))
	ada.requireOK(ada.device.confirmEmail(code))
	for _, form := range []string{code, strings.ReplaceAll(code, " ", ""), "ada@example.org"} {
		if strings.Contains(s.log.text(), form) {
			t.Errorf("the log has %s", form)
		}
	}
}
