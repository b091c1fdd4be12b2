package httpapi

import (
	"time"

	"github.com/gofiber/fiber/v2"
)

// padResponseTime delays a response until Config.MinResponseTime after its request, if its content or time could reveal whether an
// account exists. The use cases do the same work for every account and for none, but reading a row takes some 50 microseconds longer
// than finding none, and a rolled back INSERT longer than a conflict: many requests from a nearby client could measure that.
func (s *server) padResponseTime(applies func(c *fiber.Ctx, err error) bool) fiber.Handler {
	return func(c *fiber.Ctx) error {
		start := time.Now()
		err := c.Next()
		if applies(c, err) {
			time.Sleep(s.config.MinResponseTime - time.Since(start))
		}
		return err
	}
}

// onError selects errors: their callers have not authenticated.
func onError(_ *fiber.Ctx, err error) bool { return err != nil }

// revealsAccount selects errors, and responses about an e-mail address that the caller has not verified. The handler marks those.
func revealsAccount(c *fiber.Ctx, err error) bool {
	return err != nil || stateOf(c).revealsAccount
}
