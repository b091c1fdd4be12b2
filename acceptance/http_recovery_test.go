package acceptance

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/keylodge/keylodge/bootstrap/config"
	"github.com/keylodge/keylodge/domain"
)

// Requirement: ASVS-6.3.1
func TestRecovery_LockoutHasRetryAfter(t *testing.T) {
	t.Parallel()
	clock := newClock()
	s := startServer(t, clock, nil)
	redeem := func(body string) apiResponse { return s.send(t, http.MethodPost, "/v1/recovery/redeem", body) }
	const guess = `{"email":"unknown@example.org","totp_code":"000000"}`
	for range 5 {
		redeem(guess).requireProblem(t, 400, "invalid_code")
	}
	for _, step := range []struct {
		after time.Duration
		want  string
	}{{0, "900"}, {5*time.Minute - time.Millisecond, "601"}, {time.Millisecond, "600"}} {
		clock.advance(step.after)
		got := redeem(guess)
		got.requireProblem(t, 429, "rate_limited")
		if got.Header.Get("Retry-After") != step.want {
			t.Errorf("after %s: Retry-After %q, want %s", step.after, got.Header.Get("Retry-After"), step.want)
		}
	}
	clock.advance(10 * time.Minute)
	redeem(guess).requireProblem(t, 400, "invalid_code")
}

// The response reports missing and malformed members of the proof; for all other errors it is the same.
// Requirement: ASVS-6.3.8, NIST-4.2.2.2
func TestRecovery_MissingMembersReported(t *testing.T) {
	t.Parallel()
	open := startServer(t, newClock(), nil)
	both := startServer(t, newClock(), func(c *config.Config) { c.Recovery = domain.RecoveryBoth })
	for name, c := range map[string]struct {
		server *server
		body   string
		fields []string
	}{
		"an empty object":              {open, `{}`, []string{"backup_code"}},
		"a TOTP code without a user":   {open, `{"totp_code":"123456"}`, []string{"email"}},
		"an address without a code":    {open, `{"email":"ada@example.org"}`, []string{"backup_code"}},
		"an invalid address":           {open, `{"email":"ada","totp_code":"123456"}`, []string{"email"}},
		"an invalid id":                {open, `{"user_id":"7","totp_code":"123456"}`, []string{"user_id"}},
		"a backup code only, for both": {both, `{"backup_code":"0000-0000-0000-0000"}`, []string{"totp_code"}},
		"a TOTP code only, for both":   {both, `{"email":"ada@example.org","totp_code":"123456"}`, []string{"backup_code"}},
	} {
		got := c.server.send(t, http.MethodPost, "/v1/recovery/redeem", c.body)
		got.requireProblem(t, 400, "invalid_request")
		var fields []string
		for _, e := range got.problem(t).Errors {
			fields = append(fields, e.Field)
		}
		if !slices.Equal(fields, c.fields) {
			t.Errorf("%s: %v, want %v", name, fields, c.fields)
		}
	}
	for name, body := range map[string]string{
		"an unknown address":      `{"email":"unknown@example.org","totp_code":"123456"}`,
		"an unknown id":           `{"user_id":"01a206fa-f19b-71aa-8eee-8e90a9bc70db","totp_code":"123456"}`,
		"a code without digits":   `{"email":"unknown@example.org","totp_code":"abcdef"}`,
		"a malformed backup code": `{"backup_code":"hello"}`,
		"an unknown backup code":  `{"backup_code":"0000-0000-0000-0000"}`,
	} {
		if got := open.send(t, http.MethodPost, "/v1/recovery/redeem", body); got.problem(t).Code != "invalid_code" {
			t.Errorf("%s: %s", name, got.Body)
		}
	}
}
