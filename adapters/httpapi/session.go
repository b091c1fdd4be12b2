package httpapi

import (
	"errors"
	"net/http"

	"github.com/gofiber/fiber/v2"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
)

func (s *server) getSession(c *fiber.Ctx, actor identity.Principal) error {
	return c.JSON(struct {
		User    user    `json:"user"`
		Session session `json:"session"`
	}{userOf(actor.User), sessionOf(actor.Session, actor)})
}

// deleteSession signs out. Whoever is not signed in is told that they are out, and loses a cookie that opens nothing. A
// program whose access token does not hold is not: its session would live on, with whoever has its refresh token.
func (s *server) deleteSession(c *fiber.Ctx) error {
	actor, err := s.authenticate(c)
	over := errors.Is(err, domain.ErrSessionRevoked) || errors.Is(err, domain.ErrSessionExpired)
	nobody := !usesBearerToken(c) && errors.Is(err, domain.ErrUnauthenticated)
	if err == nil {
		if err := s.usecases.Sessions.SignOut.Execute(c.UserContext(), actor); err != nil {
			return err
		}
		s.logAccountEvent(c, actor, "signed out")
	} else if !over && !nobody {
		return err
	}
	s.clearSessionCookie(c)
	return c.SendStatus(http.StatusNoContent)
}

// clearSessionCookie takes a browser's cookie away once its session is over. A program's call leaves a cookie alone that happens
// to come along: it is another session's.
func (s *server) clearSessionCookie(c *fiber.Ctx) {
	if !usesBearerToken(c) {
		s.cookies.clearSession(c)
	}
}

func (s *server) refreshSession(c *fiber.Ctx) error {
	var body struct {
		RefreshToken string `json:"refresh_token"`
	}
	if err := decodeBody(c, &body); err != nil {
		return err
	}
	if body.RefreshToken == "" {
		return requireMember("refresh_token", nil)
	}
	token, err := domain.ParseRefreshToken(body.RefreshToken)
	if err != nil {
		return err
	}
	pair, err := s.usecases.Sessions.Refresh.Execute(c.UserContext(), token, s.client(c))
	if err != nil {
		return err
	}
	return c.JSON(fiber.Map{"tokens": tokensOf(pair)})
}

func (s *server) issueAccessToken(c *fiber.Ctx, actor identity.Principal) error {
	minted, err := s.usecases.Sessions.IssueAccessToken.Execute(c.UserContext(), actor)
	if err != nil {
		return err
	}
	return c.JSON(accessTokenOf(minted))
}
