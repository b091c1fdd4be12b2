package httpapi

import "github.com/gofiber/fiber/v2"

// secureHeaders is what every answer carries (OWASP Secure Headers). Pages that need more than nothing from the Content
// Security Policy set their own.
func (s *server) secureHeaders(c *fiber.Ctx) error {
	s.setSecureHeaders(c)
	return c.Next()
}

func (s *server) setSecureHeaders(c *fiber.Ctx) {
	c.Set(fiber.HeaderXContentTypeOptions, "nosniff")
	c.Set(fiber.HeaderReferrerPolicy, "no-referrer")
	c.Set(fiber.HeaderContentSecurityPolicy, "default-src 'none'; frame-ancestors 'none'")
	c.Set("Cross-Origin-Opener-Policy", "same-origin")
	if s.cookies.secure {
		c.Set(fiber.HeaderStrictTransportSecurity, "max-age=31536000")
	}
}
