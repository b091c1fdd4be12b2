package httpapi

import (
	"net/http"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/sessions"
	"github.com/keylodge/keylodge/domain"
)

// requireSession authenticates the caller by the access token of the Authorization header (RFC 6750), or else by the session cookie.
// With an invalid bearer token the cookie is not tried; a header of another scheme is ignored.
//
// A browser adds its cookie to requests that pages of other sites make. So a cookie is accepted from pages of this site only, and in
// a request that changes something only with the session's CSRF token. A page of another site cannot make a browser add an
// Authorization header, so a request with one needs no CSRF token.
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
	client := s.client(c)
	token, byCookie, err := presentedToken(c, client)
	if err != nil {
		return identity.Principal{}, err
	}
	principal, err := s.usecases.Sessions.Authenticate(c.UserContext(), token, client)
	if err != nil {
		return identity.Principal{}, err
	}
	if byCookie && !isSafeMethod(c.Method()) {
		if err := s.csrf.verify(c.Get(headerCSRFToken), principal.Session.ID()); err != nil {
			return identity.Principal{}, err
		}
	}
	return principal, nil
}

func presentedToken(c *fiber.Ctx, client identity.Client) (presented sessions.PresentedToken, byCookie bool, err error) {
	if token, bearer := bearerToken(c.Get(fiber.HeaderAuthorization)); bearer {
		if token == "" {
			return presented, false, domain.ErrUnauthenticated
		}
		return sessions.PresentedToken{AccessToken: token}, false, nil
	}
	if client.SessionToken.IsZero() {
		return presented, true, domain.ErrUnauthenticated
	}
	return sessions.PresentedToken{SessionToken: client.SessionToken}, true, nil
}

// usesBearerToken reports whether the request is authenticated by an access token, valid or not, so that its cookies are ignored.
func usesBearerToken(c *fiber.Ctx) bool {
	_, bearer := bearerToken(c.Get(fiber.HeaderAuthorization))
	return bearer
}

// bearerToken returns the token of an Authorization header whose scheme is Bearer, in upper or lower case (RFC 6750, section 2.1;
// RFC 9110, sections 11.2 and 11.6.2). The token is empty unless the scheme is followed by spaces and a token68. Any other scheme,
// such as the Basic of a proxy in front of this server, is ignored.
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

// isNotTokenChar reports whether a token of RFC 9110, section 5.6.2, cannot contain r.
func isNotTokenChar(r rune) bool {
	return !isAlphanumeric(r) && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
}

// isToken68 reports whether s is a token68 (RFC 9110, section 11.2), which RFC 6750 calls b64token.
func isToken68(s string) bool {
	s = strings.TrimRight(s, "=")
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return !isAlphanumeric(r) && !strings.ContainsRune("-._~+/", r) })
}

func isAlphanumeric(r rune) bool {
	return '0' <= r && r <= '9' || 'A' <= r && r <= 'Z' || 'a' <= r && r <= 'z'
}

// sessionToken returns the session token of the cookie, or domain.ErrUnauthenticated. For a page on another site there is none, even
// if its origin is allowed: such a page uses the bearer transport.
func (s *server) sessionToken(c *fiber.Ctx) (domain.SessionToken, error) {
	if s.provenance(c) == provenanceCrossSite {
		return domain.SessionToken{}, domain.ErrUnauthenticated
	}
	return s.cookies.sessionToken(c)
}

// isSafeMethod reports whether a method is safe (RFC 9110, section 9.2.1), of the methods that have routes.
func isSafeMethod(method string) bool { return method == http.MethodGet || method == http.MethodHead }

// setWWWAuthenticate adds to a 401 how to authenticate (RFC 9110, section 11.6.1). It has an error code only if the request used the
// scheme Bearer (RFC 6750, section 3.1).
func setWWWAuthenticate(c *fiber.Ctx) {
	challenge := `Bearer realm="keylodge"`
	if usesBearerToken(c) {
		challenge += `, error="invalid_token"`
	}
	c.Set(fiber.HeaderWWWAuthenticate, challenge)
}
