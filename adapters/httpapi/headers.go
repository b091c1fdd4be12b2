package httpapi

import "github.com/gofiber/fiber/v2"

// secureHeaders is what every answer carries (OWASP Secure Headers). Pages that need more than nothing from the Content
// Security Policy set their own.
func (s *server) secureHeaders(c *fiber.Ctx) error {
	s.setSecureHeaders(c)
	return c.Next()
}

// permissions are all that a document could ask its browser for, and no answer of the API is one. A page sets its own. A
// feature that is not named is allowed, so they are named.
const permissions = "accelerometer=(), autoplay=(), bluetooth=(), camera=(), clipboard-read=(), clipboard-write=(), display-capture=(), encrypted-media=(), fullscreen=(), " +
	"geolocation=(), gyroscope=(), hid=(), idle-detection=(), magnetometer=(), microphone=(), midi=(), payment=(), " +
	"picture-in-picture=(), publickey-credentials-create=(), publickey-credentials-get=(), screen-wake-lock=(), serial=(), " +
	"usb=(), web-share=(), xr-spatial-tracking=()"

func (s *server) setSecureHeaders(c *fiber.Ctx) {
	c.Set(fiber.HeaderXContentTypeOptions, "nosniff")
	c.Set(fiber.HeaderReferrerPolicy, "no-referrer")
	c.Set(fiber.HeaderContentSecurityPolicy, "default-src 'none'; frame-ancestors 'none'")
	c.Set("Cross-Origin-Opener-Policy", "same-origin")
	c.Set("Cross-Origin-Resource-Policy", "same-origin") // so that no other site's page can load an answer as an image or a script
	c.Set(fiber.HeaderPermissionsPolicy, permissions)
	if s.cookies.secure {
		c.Set(fiber.HeaderStrictTransportSecurity, s.config.strictTransport())
	}
}

// strictTransport has browsers keep to https for a year, below this host too where all names there are its own (OWASP ASVS 5.0,
// 3.4.1).
func (c Config) strictTransport() string {
	const year = "max-age=31536000"
	if c.OwnsSubdomains {
		return year + "; includeSubDomains"
	}
	return year
}
