package httpapi

import "github.com/gofiber/fiber/v2"

const (
	livezPath  = "/livez"
	readyzPath = "/readyz"
)

// livez answers 200 while the process serves requests.
func (s *server) livez(c *fiber.Ctx) error {
	return c.JSON(fiber.Map{"status": "live"})
}

// readyz answers 200 while the store can be read and written.
func (s *server) readyz(c *fiber.Ctx) error {
	if err := s.usecases.Maintenance.Ready(c.UserContext()); err != nil {
		return err
	}
	return c.JSON(fiber.Map{"status": "ready"})
}
