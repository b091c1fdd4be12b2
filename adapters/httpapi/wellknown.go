package httpapi

import "github.com/gofiber/fiber/v2"

// passkeyEndpoints tells password managers where passkeys are made and managed (W3C, A Well-Known URL for Relying Party
// Passkey Endpoints).
func (s *server) passkeyEndpoints(c *fiber.Ctx) error {
	c.Set(fiber.HeaderCacheControl, "public, max-age=3600")
	page := s.config.PublicURL + "/"
	return c.JSON(fiber.Map{"enroll": page, "manage": page})
}
