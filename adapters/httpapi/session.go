package httpapi

import (
	"errors"
	"net/http"

	"github.com/gofiber/fiber/v2"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
)

func (s *server) getSession(c *fiber.Ctx, principal identity.Principal) error {
	return c.JSON(struct {
		User    user    `json:"user"`
		Session session `json:"session"`
	}{userOf(principal.User), sessionOf(principal.Session, principal)})
}

// getSessionState returns the session of the request, or null if there is none. A browser logs each 401 as an error, and a page that
// starts does not know whether there is a cookie. An access token must be valid: a 401 tells its client to refresh it.
func (s *server) getSessionState(c *fiber.Ctx) error {
	principal, err := s.authenticate(c)
	if errors.Is(err, domain.ErrUnauthenticated) && !usesBearerToken(c) {
		return c.JSON(fiber.Map{"user": nil, "session": nil})
	}
	if err != nil {
		return err
	}
	return s.getSession(c, principal)
}

// deleteSession signs out. It succeeds without a session too, and clears the session cookie. An API client with an invalid access
// token gets an error: its session would stay open for the holder of its refresh token.
func (s *server) deleteSession(c *fiber.Ctx) error {
	principal, err := s.authenticate(c)
	ended := errors.Is(err, domain.ErrSessionRevoked) || errors.Is(err, domain.ErrSessionExpired)
	noSession := !usesBearerToken(c) && errors.Is(err, domain.ErrUnauthenticated)
	if err == nil {
		if err := s.usecases.Sessions.SignOut(c.UserContext(), principal); err != nil {
			return err
		}
		// Meaning: A user signed out, which revoked the session.
		s.logAccountEvent(c, principal, "signed out")
	} else if !ended && !noSession {
		return err
	}
	s.clearSessionCookie(c)
	return c.SendStatus(http.StatusNoContent)
}

// clearSessionCookie clears the cookie of a session that has ended. It keeps a cookie that is sent beside a bearer token, which
// belongs to another session.
func (s *server) clearSessionCookie(c *fiber.Ctx) {
	if !usesBearerToken(c) {
		s.cookies.clearSession(c)
	}
}

func (s *server) refreshSession(c *fiber.Ctx) error {
	text, err := decodeText(c, "refresh_token")
	if err != nil {
		return err
	}
	token, err := domain.ParseRefreshToken(text)
	if err != nil {
		return err
	}
	pair, err := s.usecases.Sessions.Refresh(c.UserContext(), token, s.client(c))
	if err != nil {
		return err
	}
	return c.JSON(fiber.Map{"tokens": tokensOf(pair)})
}

func (s *server) issueAccessToken(c *fiber.Ctx, principal identity.Principal) error {
	token, err := s.usecases.Sessions.IssueAccessToken(c.UserContext(), principal)
	if err != nil {
		return err
	}
	return c.JSON(accessTokenOf(token))
}
