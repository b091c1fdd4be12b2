package httpapi

import (
	"crypto/rand"

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
	if len(sent) != 1 || len(sent[0]) < 8 || len(sent[0]) > 64 {
		return ""
	}
	for _, b := range sent[0] {
		if (b < 'a' || b > 'z') && (b < 'A' || b > 'Z') && (b < '0' || b > '9') && b != '-' && b != '_' && b != '.' {
			return ""
		}
	}
	return string(sent[0])
}
