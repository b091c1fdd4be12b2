package httpapi

import (
	"crypto/rand"
	"regexp"

	"github.com/gofiber/fiber/v2"

	"github.com/keylodge/keylodge/domain"
)

// requestState is what the middleware and the handler of one request share.
type requestState struct {
	id             string
	ip             string          // of the client; "" until clientIP has computed it
	apiKey         domain.APIKeyID // of an operator's program; zero for any other client
	errorCode      string          // of the problem document that answers the request
	observed       bool            // the request has reached observe
	revealsAccount bool            // the response is about an e-mail address that the caller has not verified

	wanted domain.ReturnAddress // the page of an application that the user opened, if forward auth knows it
}

type requestStateKey struct{}

// stateOf returns the state of the request. The first call generates the id and sets X-Request-Id. The id never comes from the client,
// because the audit log shows it to the user, who must not read there what another client chose.
func stateOf(c *fiber.Ctx) *requestState {
	if state, ok := c.Locals(requestStateKey{}).(*requestState); ok {
		return state
	}
	state := &requestState{id: rand.Text()}
	c.Locals(requestStateKey{}, state)
	c.Set(fiber.HeaderXRequestID, state.id)
	return state
}

// clientRequestID returns the X-Request-Id that the client or a proxy sent, for the log. It returns "" unless there is exactly one, of
// 8 to 64 characters that are ASCII letters and digits, "-", "_" and ".".
func clientRequestID(c *fiber.Ctx) string {
	sent := c.Request().Header.PeekAll(fiber.HeaderXRequestID)
	if len(sent) != 1 || !requestIDPattern.Match(sent[0]) {
		return ""
	}
	return string(sent[0])
}

var requestIDPattern = regexp.MustCompile(`^[0-9A-Za-z._-]{8,64}$`)
