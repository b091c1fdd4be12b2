package httpapi

import (
	"crypto/rand"

	"github.com/gofiber/fiber/v2"
)

const requestIDKey = "request_id"

// requestID returns the request's id, made at the first call: the caller's own X-Request-Id if it is one sane token, so that
// a request can be followed through proxies and services, else a random one.
func requestID(c *fiber.Ctx) string {
	if id, ok := c.Locals(requestIDKey).(string); ok {
		return id
	}
	id := rand.Text()
	if given := c.Request().Header.PeekAll(fiber.HeaderXRequestID); len(given) == 1 && saneRequestID(string(given[0])) {
		id = string(given[0])
	}
	c.Locals(requestIDKey, id)
	c.Set(fiber.HeaderXRequestID, id)
	return id
}

func saneRequestID(id string) bool {
	if len(id) < 8 || len(id) > 64 {
		return false
	}
	for _, r := range id {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_' && r != '.' {
			return false
		}
	}
	return true
}
