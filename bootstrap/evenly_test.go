package bootstrap

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/valyala/fasthttp"
)

// On a clock that only waiting moves: an answer that could tell of an account takes the same time for each, and no other waits.
func TestAnswersThatCouldTellOfAnAccountTakeTheirTime(t *testing.T) {
	house := newFuzzedHouse(t, time.Hour) // as long as the server lets them
	verify := `{"challenge_id":"{challenge}","credential":{"id":"{passkey}","type":"public-key","response":{"clientDataJSON":"e30","authenticatorData":"AA","signature":"AA"}}}`
	for name, c := range map[string]struct {
		path, body string
		status     int
		want       time.Duration
	}{
		"options of an account":      {"/v1/login/options", `{"email":"ada@example.org"}`, 200, evenTime},
		"options of a shut account":  {"/v1/login/options", `{"email":"ben@example.org"}`, 200, evenTime},
		"options of nobody":          {"/v1/login/options", `{"email":"nobody@example.org"}`, 200, evenTime},
		"options without an address": {"/v1/login/options", `{}`, 200, 0},
		"a refused passkey":          {"/v1/login/verify", verify, 422, evenTime},
		"an unknown passkey":         {"/v1/login/verify", strings.Replace(verify, "{passkey}", "AAAA", 1), 404, evenTime},
		"a code of an account":       {"/v1/recovery/redeem", `{"email":"ada@example.org","totp_code":"abcdef"}`, 400, evenTime},
		"a code of nobody":           {"/v1/recovery/redeem", `{"email":"nobody@example.org","totp_code":"abcdef"}`, 400, evenTime},
		"a backup code of nobody's":  {"/v1/recovery/redeem", `{"backup_code":"0000-0000-0000-0000"}`, 400, evenTime},
		"anything else":              {"/v1/signup/options", `{}`, 200, 0},
	} {
		t.Run(name, func(t *testing.T) {
			body := house.personal(t, c.body)
			synctest.Test(t, func(t *testing.T) {
				var request fasthttp.RequestCtx
				request.Request.Header.SetMethod("POST")
				request.Request.SetRequestURI(c.path)
				request.Request.Header.SetContentType("application/json")
				request.Request.SetBodyString(body)
				begun := time.Now()
				house.server.Handler(&request)
				if took := time.Since(begun); took != c.want || request.Response.StatusCode() != c.status {
					t.Errorf("%d after %s, want %d after %s: %s", request.Response.StatusCode(), took, c.status, c.want, request.Response.Body())
				}
			})
		})
	}
}
