package httpapi

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"
)

const headerSecFetchSite = "Sec-Fetch-Site"

// guardOrigin keeps other sites' pages from changing anything here, signed in or not (OWASP: verifying origin with
// standard headers, Fetch Metadata). A request with an Origin needs an allowed one; one without must not say that it
// comes from another site. Clients that are no browsers send neither header and have no cookies that a stranger could
// ride on.
func (s *server) guardOrigin(c *fiber.Ctx) error {
	c.Vary(fiber.HeaderOrigin)
	origin := c.Get(fiber.HeaderOrigin)
	allowed := slices.Contains(s.config.Origins, origin)
	if allowed {
		c.Set(fiber.HeaderAccessControlAllowOrigin, origin)
		c.Set(fiber.HeaderAccessControlAllowCredentials, "true")
		c.Set(fiber.HeaderAccessControlExposeHeaders, "X-Request-Id, Retry-After, WWW-Authenticate, RateLimit, RateLimit-Policy")
	}
	switch c.Method() {
	case http.MethodGet, http.MethodHead:
		return c.Next()
	case http.MethodOptions:
		return s.preflight(c, allowed)
	}
	if origin != "" && !allowed || origin == "" && c.Get(headerSecFetchSite) == "cross-site" {
		return errCrossOrigin
	}
	return c.Next()
}

// preflight answers the CORS question of an allowed origin (Fetch standard, section 3.2.2).
func (s *server) preflight(c *fiber.Ctx, allowed bool) error {
	if c.Get(fiber.HeaderAccessControlRequestMethod) == "" {
		return c.Next()
	}
	if allowed {
		c.Set(fiber.HeaderAccessControlAllowMethods, "GET, POST, PATCH, DELETE")
		c.Set(fiber.HeaderAccessControlAllowHeaders, "Authorization, Content-Type, X-CSRF-Token, X-Request-Id")
		c.Set(fiber.HeaderAccessControlMaxAge, "600")
	}
	return c.SendStatus(http.StatusNoContent)
}

// fromOwnSite reports whether the request came from a browser on a page of this site, which will bring cookies back.
func (s *server) fromOwnSite(c *fiber.Ctx) bool {
	switch c.Get(headerSecFetchSite) {
	case "same-origin", "same-site":
		return true
	case "":
		return s.ownSite(c.Get(fiber.HeaderOrigin))
	}
	return false
}

// fromOtherSite reports whether a browser sent the request from a page of another site. A client that says neither where it
// is nor how it came there is no browser.
func (s *server) fromOtherSite(c *fiber.Ctx) bool {
	switch c.Get(headerSecFetchSite) {
	case "cross-site":
		return true
	case "":
		origin := c.Get(fiber.HeaderOrigin)
		return origin != "" && !s.ownSite(origin)
	}
	return false
}

// ownSite reports whether an origin lies within the RP id, which is never wider than a site (WebAuthn Level 3, section 5.1.3,
// step 8).
func (s *server) ownSite(origin string) bool {
	u, err := url.Parse(origin)
	if err != nil || u.Hostname() == "" || !slices.Contains(s.config.Origins, origin) {
		return false
	}
	return u.Hostname() == s.config.RPID || strings.HasSuffix(u.Hostname(), "."+s.config.RPID)
}
