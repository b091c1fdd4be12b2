package httpapi

import (
	"crypto/rand"
	"regexp"

	"github.com/gofiber/fiber/v2"
)

const requestIDKey = "request_id"

// requestID returns the id of the request. The first call generates it and sets X-Request-Id. It never comes from the client, because
// the audit log shows it to the user, who must not read there what another client chose.
func requestID(c *fiber.Ctx) string {
	if id, ok := c.Locals(requestIDKey).(string); ok {
		return id
	}
	id := rand.Text()
	c.Locals(requestIDKey, id)
	c.Set(fiber.HeaderXRequestID, id)
	return id
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
