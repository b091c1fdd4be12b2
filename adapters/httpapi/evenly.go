package httpapi

import (
	"time"

	"github.com/gofiber/fiber/v2"
)

// evenly lets an answer that may depend on whether there is an account wait until Config.EvenTime has passed since the request came.
// The same is done for every account and for none, but a row that is there takes some 50 microseconds longer to read than one that
// is not, and a row that is written and rolled back longer than one that is in conflict, which many requests from nearby would show.
func (s *server) evenly(when func(c *fiber.Ctx, err error) bool) fiber.Handler {
	return func(c *fiber.Ctx) error {
		begun := time.Now()
		err := c.Next()
		if when(c, err) {
			time.Sleep(s.config.EvenTime - time.Since(begun))
		}
		return err
	}
}

// refused are answers to callers who have proved nothing.
func refused(_ *fiber.Ctx, err error) bool { return err != nil }

// namesAccount are those, and answers about an e-mail address that is not proved to be the caller's. The handler marks them.
func namesAccount(c *fiber.Ctx, err error) bool {
	return err != nil || c.Locals(namesAccountKey) != nil
}

const namesAccountKey = "names account"
