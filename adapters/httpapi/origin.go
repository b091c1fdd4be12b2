package httpapi

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"
)

const headerSecFetchSite = "Sec-Fetch-Site"

// checkOrigin rejects requests that change something and that a page of another site made, signed in or not (OWASP: verifying
// origin with standard headers, Fetch Metadata). A request with an Origin needs an allowed one. One without must be from this
// server's own page or from no page at all: a browser leaves Origin out of no such request of any other page, so a
// Sec-Fetch-Site that says otherwise, or nothing known, is rejected. Clients that are no browsers send neither header and
// have no cookies that another site could use.
//
// The origin of an app or an extension may read answers, and sends no credentials: provenance takes it for another site's, so
// that it is given tokens alone.
func (s *server) checkOrigin(c *fiber.Ctx) error {
	c.Vary(fiber.HeaderOrigin)
	origin := c.Get(fiber.HeaderOrigin)
	withCookies := slices.Contains(s.config.Origins, origin)
	allowed := withCookies || slices.Contains(s.config.AppOrigins, origin)
	if withCookies {
		c.Set(fiber.HeaderAccessControlAllowCredentials, "true")
	}
	if allowed {
		c.Set(fiber.HeaderAccessControlAllowOrigin, origin)
		c.Set(fiber.HeaderAccessControlExposeHeaders, "X-Request-Id, Retry-After, WWW-Authenticate, RateLimit, RateLimit-Policy")
	}
	switch c.Method() {
	case http.MethodGet, http.MethodHead:
		return c.Next()
	case http.MethodOptions:
		return s.preflight(c, allowed)
	}
	if origin == "" {
		switch c.Get(headerSecFetchSite) {
		case "", "same-origin", "none":
			allowed = true
		}
	}
	if !allowed {
		return errCrossOrigin
	}
	return c.Next()
}

// The header names that this API reads, and how long a list of names may be that a preflight asks for.
const (
	ownRequestHeaders     = "Authorization, Content-Type, X-CSRF-Token, X-Request-Id"
	maxRequestHeadersSize = 1 << 10
)

// preflight answers the CORS question of an allowed origin (Fetch standard, section 3.2.2). Such an origin may send any
// header: monitoring adds headers of its own to all requests of a page, and a name reveals nothing.
//
// Access-Control-Request-Private-Network is not answered. No browser waits for that answer since Local Network Access asks
// the person instead.
func (s *server) preflight(c *fiber.Ctx, allowed bool) error {
	if c.Get(fiber.HeaderAccessControlRequestMethod) == "" {
		return c.Next()
	}
	c.Vary(fiber.HeaderAccessControlRequestHeaders)
	if allowed {
		c.Set(fiber.HeaderAccessControlAllowMethods, "GET, POST, PATCH, DELETE")
		c.Set(fiber.HeaderAccessControlAllowHeaders, allowedHeaders(c.Get(fiber.HeaderAccessControlRequestHeaders)))
		c.Set(fiber.HeaderAccessControlMaxAge, "600")
	}
	return c.SendStatus(http.StatusNoContent)
}

// allowedHeaders returns the names that this API reads and those that a preflight asks for. A list that is too long or holds
// anything but names (RFC 9110, section 5.1) adds nothing.
func allowedHeaders(asked string) string {
	if len(asked) > maxRequestHeadersSize {
		return ownRequestHeaders
	}
	names := strings.Split(ownRequestHeaders, ", ")
	for name := range strings.SplitSeq(asked, ",") {
		name = strings.Trim(name, " \t")
		if name == "" {
			continue // RFC 9110, section 5.6.1.2
		}
		if strings.ContainsFunc(name, isNotTokenChar) {
			return ownRequestHeaders
		}
		if !slices.ContainsFunc(names, func(known string) bool { return strings.EqualFold(known, name) }) {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// provenance is where a browser sent a request from.
type provenance int

const (
	provenanceNone      provenance = iota // a program, or an address that a person typed
	provenanceSameSite                    // a page that cookies of this server reach
	provenanceCrossSite                   // any other page, and what contradicts itself
)

// provenance judges a request by Sec-Fetch-Site and Origin, of which no page can choose either. Where they disagree, or a
// value is none that Fetch Metadata knows, the request is taken for another site's.
func (s *server) provenance(c *fiber.Ctx) provenance {
	origin := c.Get(fiber.HeaderOrigin)
	switch c.Get(headerSecFetchSite) {
	case "same-origin", "same-site":
		if origin == "" || slices.Contains(s.config.Origins, origin) {
			return provenanceSameSite
		}
	case "", "none":
		if origin == "" {
			return provenanceNone
		}
		if s.isSameSite(origin) {
			return provenanceSameSite
		}
	}
	return provenanceCrossSite
}

// isSameSite reports whether an origin lies within the RP id, which is never wider than a site (WebAuthn Level 3, section 5.1.3,
// step 8).
func (s *server) isSameSite(origin string) bool {
	u, err := url.Parse(origin)
	if err != nil || u.Hostname() == "" || !slices.Contains(s.config.Origins, origin) {
		return false
	}
	return u.Hostname() == s.config.RPID || strings.HasSuffix(u.Hostname(), "."+s.config.RPID)
}
