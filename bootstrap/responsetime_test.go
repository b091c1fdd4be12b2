package bootstrap

import (
	"encoding/json"
	"net/mail"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
	"github.com/keylodge/keylodge/acceptance/testkit/sqlitestore"
	"github.com/keylodge/keylodge/adapters/smtp"
	"github.com/keylodge/keylodge/application/signup"
	"github.com/keylodge/keylodge/bootstrap/config"
	"github.com/keylodge/keylodge/domain"
)

// With the clock of synctest, each response that could reveal an account takes exactly the minimum response time, and the others
// are immediate.
// Requirement: ASVS-6.3.8
func TestResponseTime_AccountEnumeration(t *testing.T) {
	startFasthttpClock()
	verify := `{"challenge_id":"{challenge}","credential":{"id":"{passkey}","type":"public-key","response":{"clientDataJSON":"e30","authenticatorData":"AA","signature":"AA"}}}`
	registration := `{"challenge_id":"{challenge}","credential":{"id":"AAAA","type":"public-key","response":{"clientDataJSON":"e30","attestationObject":"AA"}}}`
	for name, c := range map[string]struct {
		path, body string
		status     int
		want       time.Duration
	}{
		"options of an account":         {"/v1/login/options", `{"email":"ada@example.org"}`, 200, minResponseTime},
		"options of a disabled account": {"/v1/login/options", `{"email":"ben@example.org"}`, 200, minResponseTime},
		"options of an unknown address": {"/v1/login/options", `{"email":"unknown@example.org"}`, 200, minResponseTime},
		"options without an address":    {"/v1/login/options", `{}`, 200, 0},
		"rejected passkey":              {"/v1/login/verify", verify, 422, minResponseTime},
		"unknown passkey":               {"/v1/login/verify", strings.Replace(verify, "{passkey}", "AAAA", 1), 404, minResponseTime},
		"code of an account":            {"/v1/recovery/redeem", `{"email":"ada@example.org","totp_code":"abcdef"}`, 400, minResponseTime},
		"code of an unknown address":    {"/v1/recovery/redeem", `{"email":"unknown@example.org","totp_code":"abcdef"}`, 400, minResponseTime},
		"unknown backup code":           {"/v1/recovery/redeem", `{"backup_code":"0000-0000-0000-0000"}`, 400, minResponseTime},
		"rejected sign-up":              {"/v1/signup/verify", registration, 404, minResponseTime},
		"rejected recovery":             {"/v1/recovery/verify", `{"grant_token":"{grant}",` + registration[1:], 400, minResponseTime},
		"rejected additional passkey":   {"/v1/me/passkeys/verify", registration, 404, minResponseTime},
		"sign-up options":               {"/v1/signup/options", `{}`, 200, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := newFuzzFixture(t, sqlitestore.NewInBubble(t), time.Hour) // no limit
				body := server.fillPlaceholders(t, c.body)
				server.wantResponseAfter(t, "POST", c.path, body, c.status, c.want)
			})
		})
	}
}

// If e-mail is sent, no response reveals that an address is taken: a successful request with an address takes the minimum response
// time too.
// Requirement: ASVS-6.3.8
func TestResponseTime_PendingEmail(t *testing.T) {
	startFasthttpClock()
	synctest.Test(t, func(t *testing.T) {
		server := newFuzzFixture(t, sqlitestore.NewInBubble(t), time.Hour, func(c *config.Config) {
			c.SMTP = &smtp.Config{Host: "localhost", Port: 25, TLS: smtp.NoTLS, PublicURL: c.PublicURL, From: mail.Address{Address: "keylodge@example.org"}, Service: "Keylodge"}
		})
		signUp := func(email string) string {
			begun, err := server.usecases.SignUp.Begin(t.Context(), signup.Input{Email: domain.Email(email)}, domain.Binding{})
			if err != nil {
				t.Fatal(err)
			}
			created, err := authenticator.New("http://localhost:8080").Create(begun.Options)
			if err != nil {
				t.Fatal(err)
			}
			body, err := json.Marshal(map[string]any{"challenge_id": begun.ChallengeID.String(), "credential": created})
			if err != nil {
				t.Fatal(err)
			}
			return string(body)
		}
		withEmail, withoutEmail := signUp("zoe@example.org"), signUp("")
		server.wantResponseAfter(t, "POST", "/v1/signup/verify", withEmail, 201, minResponseTime)
		server.wantResponseAfter(t, "POST", "/v1/signup/verify", withoutEmail, 201, 0)
		server.wantResponseAfter(t, "PATCH", "/v1/me", `{"email":"ben@example.org"}`, 200, minResponseTime)
		server.wantResponseAfter(t, "POST", "/v1/me/email/code", `{}`, 202, minResponseTime)
		server.wantResponseAfter(t, "PATCH", "/v1/me", `{"email":null}`, 200, 0)
	})
}

// startFasthttpClock starts the goroutine that updates fasthttp's Date header outside the bubble of synctest, since it never ends.
func startFasthttpClock() { new(fasthttp.ResponseHeader).Header() }

// wantResponseAfter sends a request with an access token of a signed-in user.
func (f *fuzzFixture) wantResponseAfter(t *testing.T, method, path, body string, status int, want time.Duration) {
	t.Helper()
	var request fasthttp.RequestCtx
	request.Request.Header.SetMethod(method)
	request.Request.SetRequestURI(path)
	request.Request.Header.SetContentType("application/json")
	request.Request.Header.Set("Authorization", "Bearer "+f.placeholders["{access}"])
	request.Request.SetBodyString(body)
	start := time.Now()
	f.server.Handler(&request)
	if took := time.Since(start); took != want || request.Response.StatusCode() != status {
		t.Errorf("%s %s: %d after %s, want %d after %s: %s", method, path, request.Response.StatusCode(), took, status, want, request.Response.Body())
	}
}
