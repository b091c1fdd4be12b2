package httpapi

import (
	"net/netip"
	"net/url"
	"strings"

	"github.com/gofiber/fiber/v2"
)

// secureHeaders is what every answer carries (OWASP Secure Headers). Pages that need more than nothing from the Content
// Security Policy set their own.
func (s *server) secureHeaders(c *fiber.Ctx) error {
	s.setSecureHeaders(c)
	return c.Next()
}

// permissionsPolicy are all that a document could ask its browser for, and no answer of the API is one. A page sets its own. A
// feature that is not named is allowed, so they are named.
const permissionsPolicy = "accelerometer=(), autoplay=(), bluetooth=(), camera=(), clipboard-read=(), clipboard-write=(), display-capture=(), encrypted-media=(), fullscreen=(), " +
	"geolocation=(), gyroscope=(), hid=(), idle-detection=(), magnetometer=(), microphone=(), midi=(), payment=(), " +
	"picture-in-picture=(), publickey-credentials-create=(), publickey-credentials-get=(), screen-wake-lock=(), serial=(), " +
	"usb=(), web-share=(), xr-spatial-tracking=()"

func (s *server) setSecureHeaders(c *fiber.Ctx) {
	c.Set(fiber.HeaderXContentTypeOptions, "nosniff")
	c.Set(fiber.HeaderReferrerPolicy, "no-referrer")
	c.Set(fiber.HeaderContentSecurityPolicy, "default-src 'none'; frame-ancestors 'none'")
	c.Set("Cross-Origin-Opener-Policy", "same-origin")
	c.Set("Cross-Origin-Resource-Policy", "same-origin") // so that no other site's page can load an answer as an image or a script
	c.Set(fiber.HeaderPermissionsPolicy, permissionsPolicy)
	if s.strictTransport != "" {
		c.Set(fiber.HeaderStrictTransportSecurity, s.strictTransport)
	}
}

// strictTransport has browsers keep to https for a year, below this host too where all names there are its own (OWASP ASVS 5.0,
// 3.4.1). It returns "" for plain http, and for this machine: the header holds for every port of a host, and other servers of
// a developer listen on http://localhost.
func (c Config) strictTransport() string {
	const year = "max-age=31536000"
	u, err := url.Parse(c.PublicURL)
	switch {
	case err != nil || u.Scheme != "https" || isLoopback(u.Hostname()):
		return ""
	case c.OwnsSubdomains:
		return year + "; includeSubDomains"
	}
	return year
}

// isLoopback reports whether a host is this machine in every browser (RFC 6761, section 6.3).
func isLoopback(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	address, err := netip.ParseAddr(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && address.Unmap().IsLoopback()
}
