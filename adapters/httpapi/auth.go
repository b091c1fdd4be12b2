package httpapi

import (
	"net/http"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/sessions"
	"github.com/keylodge/keylodge/domain"
)

// requireSession lets only those through who hold a session: by access token in the Authorization header (RFC 6750), else by
// cookie. A bearer token that does not hold is not made up for by a cookie; a header of another scheme is ignored.
//
// A browser adds its cookie to requests that other pages have thought up. So a cookie counts for pages of this site only,
// and for a request that changes something only together with the session's CSRF token. No page can make a browser add an
// Authorization header, so those need none.
func (s *server) requireSession(handle sessionHandler) fiber.Handler {
	return func(c *fiber.Ctx) error {
		principal, err := s.authenticate(c)
		if err != nil {
			return err
		}
		return handle(c, principal)
	}
}

// sessionHandler handles a request whose caller is authenticated.
type sessionHandler func(c *fiber.Ctx, principal identity.Principal) error

// authenticate returns the principal of the request, or domain.ErrUnauthenticated.
func (s *server) authenticate(c *fiber.Ctx) (identity.Principal, error) {
	proof, byCookie, err := s.callerCredentials(c)
	if err != nil {
		return identity.Principal{}, err
	}
	actor, err := s.usecases.Sessions.Authenticate(c.UserContext(), proof, s.client(c))
	if err != nil {
		return identity.Principal{}, err
	}
	if byCookie && !isSafeMethod(c.Method()) {
		if err := s.csrf.verify(c.Get(headerCSRFToken), actor.Session.ID()); err != nil {
			return identity.Principal{}, err
		}
	}
	return actor, nil
}

func (s *server) callerCredentials(c *fiber.Ctx) (proof sessions.PresentedToken, byCookie bool, err error) {
	if given, bearer := bearerToken(c.Get(fiber.HeaderAuthorization)); bearer {
		if given == "" {
			return proof, false, domain.ErrUnauthenticated
		}
		return sessions.PresentedToken{AccessToken: given}, false, nil
	}
	token, err := s.sessionToken(c)
	return sessions.PresentedToken{SessionToken: token}, true, err
}

// usesBearerToken reports whether the request is authenticated by an access token, valid or not, and by no cookie.
func usesBearerToken(c *fiber.Ctx) bool {
	_, bearer := bearerToken(c.Get(fiber.HeaderAuthorization))
	return bearer
}

// bearerToken returns the token of an Authorization header whose scheme is Bearer, in any case (RFC 6750, section 2.1; RFC
// 9110, sections 11.2 and 11.6.2). The token is empty if what follows the scheme is not one or more spaces and a token68.
// Any other scheme, such as the Basic of a proxy in front of this server, is not for this server.
func bearerToken(header string) (token string, bearer bool) {
	scheme, rest := header, ""
	if end := strings.IndexFunc(header, isNotTokenChar); end >= 0 {
		scheme, rest = header[:end], header[end:]
	}
	if !strings.EqualFold(scheme, "Bearer") {
		return "", false
	}
	token = strings.TrimLeft(rest, " ")
	if token == rest || !isToken68(token) {
		return "", true
	}
	return token, true
}

// isNotTokenChar reports whether r is in no token of RFC 9110, section 5.6.2.
func isNotTokenChar(r rune) bool {
	return !isLetterOrDigit(r) && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
}

func isLetterOrDigit(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
}

// isToken68 reports whether s is a token68 (RFC 9110, section 11.2), which RFC 6750 calls b64token.
func isToken68(s string) bool {
	text := strings.TrimRight(s, "=")
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool {
		return !isLetterOrDigit(r) && !strings.ContainsRune("-._~+/", r)
	})
}

// sessionToken is the browser's, or domain.ErrUnauthenticated. A page on another site cannot use it, even if its origin is
// an allowed one: it is to use tokens of its own.
func (s *server) sessionToken(c *fiber.Ctx) (domain.SessionToken, error) {
	if s.provenance(c) == provenanceCrossSite {
		return domain.SessionToken{}, domain.ErrUnauthenticated
	}
	return s.cookies.sessionToken(c)
}

// isSafeMethod follows RFC 9110, section 9.2.1, for the methods that are routed.
func isSafeMethod(method string) bool { return method == http.MethodGet || method == http.MethodHead }

// setWWWAuthenticate tells a caller that was not let in how to authenticate (RFC 9110, section 11.6.1). There is an error code only
// if the request had a bearer token, or should have had one (RFC 6750, section 3.1).
func setWWWAuthenticate(c *fiber.Ctx) {
	challenge := `Bearer realm="keylodge"`
	if usesBearerToken(c) {
		challenge += `, error="invalid_token"`
	}
	c.Set(fiber.HeaderWWWAuthenticate, challenge)
}
