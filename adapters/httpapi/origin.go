package httpapi

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"
)

const headerSecFetchSite = "Sec-Fetch-Site"

// checkOrigin rejects requests that change something and come from a page of a site that is not allowed, with or without a session
// (OWASP: verifying origin with standard headers, Fetch Metadata). A request with an Origin needs an allowed one. A request without
// must come from this server's own page or from no page: browsers send Origin in every such request of another page. So
// it is rejected if its Sec-Fetch-Site has any value but same-origin and none. API clients send neither header, and have no cookies
// that another site could use.
//
// The origin of an app or an extension may read responses, but sends no cookies: provenance treats it as cross-site, so that it can
// use the bearer transport only.
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

// The headers that this API reads, and the maximal length of the list of headers in a preflight.
const (
	ownRequestHeaders     = "Authorization, Content-Type, X-CSRF-Token, X-Request-Id"
	maxRequestHeadersSize = 1 << 10
)

// preflight answers a CORS preflight (Fetch standard, section 3.2.2). An allowed origin may send any header: monitoring scripts add
// their own headers to all requests of a page.
//
// Access-Control-Request-Private-Network is ignored. Browsers ask the user instead (Local Network Access).
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

// allowedHeaders returns the headers that this API reads and those that a preflight requests. A list that is too long or contains an
// invalid name (RFC 9110, section 5.1) is ignored.
func allowedHeaders(requested string) string {
	if len(requested) > maxRequestHeadersSize {
		return ownRequestHeaders
	}
	names := strings.Split(ownRequestHeaders, ", ")
	for name := range strings.SplitSeq(requested, ",") {
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

// provenance is the kind of page that a request comes from.
type provenance int

const (
	provenanceNone      provenance = iota // an API client, or an address that a user typed
	provenanceSameSite                    // a page on this server's site: its requests carry this server's cookies
	provenanceCrossSite                   // any other page, or headers that contradict each other
)

// provenance returns where a request comes from, by Sec-Fetch-Site and Origin, which a page cannot set. If they disagree or a value
// is unknown, the request counts as cross-site.
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
