package httpapi

import (
	"time"

	"github.com/gofiber/fiber/v2"
)

// evenly lets an answer that may depend on whether there is an account wait until Config.EvenTime has passed since the request came.
// The same is done for every account and for none, but a row that is there takes some 50 microseconds longer to read than one that
// is not, which many requests from nearby would show.
func (s *server) evenly(when func(c *fiber.Ctx, err error) bool, handle fiber.Handler) fiber.Handler {
	return func(c *fiber.Ctx) error {
		begun := time.Now()
		err := handle(c)
		if when(c, err) {
			time.Sleep(s.config.EvenTime - time.Since(begun))
		}
		return err
	}
}

// refused are answers that somebody gets without having proved anything.
func refused(_ *fiber.Ctx, err error) bool { return err != nil }

// namesAccount is an answer about an address. The handler says so.
func namesAccount(c *fiber.Ctx, err error) bool {
	return err != nil || c.Locals(namesAccountKey) != nil
}

const namesAccountKey = "names account"
