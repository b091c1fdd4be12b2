package httpapi

import (
	"github.com/gofiber/fiber/v2"

	"github.com/keylodge/keylodge/domain"
)

// livez says that the process serves requests; it asks nothing else.
func (s *server) livez(c *fiber.Ctx) error {
	return c.JSON(fiber.Map{"status": "live"})
}

// readyz says that the store answers and that the server is not about to stop.
func (s *server) readyz(c *fiber.Ctx) error {
	if s.draining.Load() {
		return domain.ErrUnavailable
	}
	if err := s.usecases.Housekeeping.Ready.Execute(c.UserContext()); err != nil {
		return err
	}
	return c.JSON(fiber.Map{"status": "ready"})
}
