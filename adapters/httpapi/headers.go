package httpapi

import (
	"net/netip"
	"net/url"
	"strings"

	"github.com/gofiber/fiber/v2"
)

// secureHeaders adds the headers of every response (OWASP Secure Headers). The pages replace the Content-Security-Policy with their
// own.
func (s *server) secureHeaders(c *fiber.Ctx) error {
	s.setSecureHeaders(c)
	return c.Next()
}

// permissionsPolicy disables every feature of the browser, since no response of the API is a document. A feature that is not in the
// list would be allowed. The pages set their own policy.
const permissionsPolicy = "accelerometer=(), autoplay=(), bluetooth=(), camera=(), clipboard-read=(), clipboard-write=(), display-capture=(), encrypted-media=(), fullscreen=(), " +
	"geolocation=(), gyroscope=(), hid=(), idle-detection=(), magnetometer=(), microphone=(), midi=(), payment=(), " +
	"picture-in-picture=(), publickey-credentials-create=(), publickey-credentials-get=(), screen-wake-lock=(), serial=(), " +
	"usb=(), web-share=(), xr-spatial-tracking=()"

func (s *server) setSecureHeaders(c *fiber.Ctx) {
	c.Set(fiber.HeaderXContentTypeOptions, "nosniff")
	c.Set(fiber.HeaderReferrerPolicy, "no-referrer")
	c.Set(fiber.HeaderContentSecurityPolicy, "default-src 'none'; frame-ancestors 'none'")
	c.Set("Cross-Origin-Opener-Policy", "same-origin")
	c.Set("Cross-Origin-Resource-Policy", "same-origin") // so that pages of other sites cannot load a response as an image or a script
	c.Set(fiber.HeaderPermissionsPolicy, permissionsPolicy)
	// A proxy sends the answers about forward auth to browsers as those of another host, whose operator decides.
	if s.strictTransport != "" && c.Path() != forwardAuthPath {
		c.Set(fiber.HeaderStrictTransportSecurity, s.strictTransport)
	}
}

// strictTransport returns the value of Strict-Transport-Security: one year, including the subdomains if OwnsSubdomains (OWASP ASVS
// 5.0, 3.4.1). It is "" for plain http and for a loopback host: the header applies to every port, and a developer runs other
// servers on http://localhost.
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

// isLoopback reports whether every browser resolves a host to its own machine (RFC 6761, section 6.3).
func isLoopback(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	address, err := netip.ParseAddr(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && address.Unmap().IsLoopback()
}
