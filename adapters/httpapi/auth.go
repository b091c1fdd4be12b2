package httpapi

import (
	"net/http"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/keylodge/keylodge/application/access"
	"github.com/keylodge/keylodge/application/sessions"
	"github.com/keylodge/keylodge/domain"
)

// signedIn lets only those through who hold a session: by access token in the Authorization header (RFC 6750), else by
// cookie. Whoever sends the header means it: a token that does not hold is not made up for by a cookie.
//
// A browser adds its cookie to requests that other pages have thought up. So a cookie counts for pages of this site only,
// and for a request that changes something only together with the session's CSRF token. No page can make a browser add an
// Authorization header, so those need none.
func (s *server) signedIn(handle func(c *fiber.Ctx, actor access.Actor) error) fiber.Handler {
	return func(c *fiber.Ctx) error {
		actor, err := s.authenticate(c)
		if err != nil {
			return err
		}
		return handle(c, actor)
	}
}

// authenticate returns what the caller may not do as an error, domain.ErrUnauthenticated if they are nobody.
func (s *server) authenticate(c *fiber.Ctx) (access.Actor, error) {
	proof, byCookie, err := s.proof(c)
	if err != nil {
		return access.Actor{}, err
	}
	actor, err := s.usecases.Sessions.Authenticate.Execute(c.UserContext(), proof, s.visitor(c))
	if err != nil {
		return access.Actor{}, err
	}
	if byCookie && !isSafe(c.Method()) {
		if err := s.csrf.verify(c.Get(headerCSRFToken), actor.Session.ID()); err != nil {
			return access.Actor{}, err
		}
	}
	return actor, nil
}

func (s *server) proof(c *fiber.Ctx) (proof sessions.Proof, byCookie bool, err error) {
	if byBearer(c) {
		header := c.Get(fiber.HeaderAuthorization)
		scheme, token, _ := strings.Cut(header, " ")
		if !strings.EqualFold(scheme, "Bearer") || token == "" {
			return proof, false, domain.ErrUnauthenticated
		}
		return sessions.Proof{Access: token}, false, nil
	}
	token, err := s.sessionToken(c)
	return sessions.Proof{Session: token}, true, err
}

// byBearer reports whether the caller wants to be judged by a token, good or not.
func byBearer(c *fiber.Ctx) bool { return c.Get(fiber.HeaderAuthorization) != "" }

// sessionToken is the browser's, or domain.ErrUnauthenticated. A page on another site cannot use it, even if its origin is
// an allowed one: it is to use tokens of its own.
func (s *server) sessionToken(c *fiber.Ctx) (domain.SessionToken, error) {
	if s.fromOtherSite(c) {
		return domain.SessionToken{}, domain.ErrUnauthenticated
	}
	return s.cookies.sessionToken(c)
}

// isSafe follows RFC 9110, section 9.2.1, for the methods that are routed.
func isSafe(method string) bool { return method == http.MethodGet || method == http.MethodHead }

// challengeCaller tells whoever was not let in how it is done (RFC 9110, section 11.6.1; RFC 6750, section 3).
func challengeCaller(c *fiber.Ctx) {
	challenge := `Bearer realm="keylodge"`
	if byBearer(c) {
		challenge += `, error="invalid_token"`
	}
	c.Set(fiber.HeaderWWWAuthenticate, challenge)
}
