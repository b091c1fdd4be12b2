package httpapi

import (
	"crypto/rand"
	"regexp"

	"github.com/gofiber/fiber/v2"
)

const requestIDKey = "request_id"

// requestID returns the request's id, which is made at the first call and answered as X-Request-Id. It is always the server's
// own: the security log shows it to the account's owner, who must not read there what another client has chosen.
func requestID(c *fiber.Ctx) string {
	if id, ok := c.Locals(requestIDKey).(string); ok {
		return id
	}
	id := rand.Text()
	c.Locals(requestIDKey, id)
	c.Set(fiber.HeaderXRequestID, id)
	return id
}

// clientRequestID returns the X-Request-Id that the client or a proxy sent, for the operator's log, or "" if there is not
// exactly one or it is not a token of 8 to 64 ASCII characters a-z, A-Z, digits, "-", "_" and ".".
func clientRequestID(c *fiber.Ctx) string {
	sent := c.Request().Header.PeekAll(fiber.HeaderXRequestID)
	if len(sent) != 1 || !requestIDPattern.Match(sent[0]) {
		return ""
	}
	return string(sent[0])
}

var requestIDPattern = regexp.MustCompile(`^[0-9A-Za-z._-]{8,64}$`)
