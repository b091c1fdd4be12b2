package httpapi

import "github.com/gofiber/fiber/v2"

const (
	livezPath  = "/livez"
	readyzPath = "/readyz"
)

// livez says that the process serves requests; it asks nothing else.
func (s *server) livez(c *fiber.Ctx) error {
	return c.JSON(fiber.Map{"status": "live"})
}

// readyz says that the store answers.
func (s *server) readyz(c *fiber.Ctx) error {
	if err := s.usecases.Maintenance.Ready.Execute(c.UserContext()); err != nil {
		return err
	}
	return c.JSON(fiber.Map{"status": "ready"})
}
