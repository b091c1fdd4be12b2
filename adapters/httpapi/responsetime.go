package httpapi

import (
	"time"

	"github.com/gofiber/fiber/v2"
)

// padResponseTime lets an answer that may depend on whether there is an account wait until Config.MinResponseTime has passed since the request came.
// The same is done for every account and for none, but a row that is there takes some 50 microseconds longer to read than one that
// is not, and a row that is written and rolled back longer than one that is in conflict, which many requests from nearby would show.
func (s *server) padResponseTime(when func(c *fiber.Ctx, err error) bool) fiber.Handler {
	return func(c *fiber.Ctx) error {
		begun := time.Now()
		err := c.Next()
		if when(c, err) {
			time.Sleep(s.config.MinResponseTime - time.Since(begun))
		}
		return err
	}
}

// onError are answers to callers who have proved nothing.
func onError(_ *fiber.Ctx, err error) bool { return err != nil }

// revealsAccount are those, and answers about an e-mail address that is not proved to be the caller's. The handler marks them.
func revealsAccount(c *fiber.Ctx, err error) bool {
	return err != nil || c.Locals(revealsAccountKey) != nil
}

const revealsAccountKey = "names account"
