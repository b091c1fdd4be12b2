package httpapi

import (
	"net/http"

	"github.com/gofiber/fiber/v2"

	"github.com/keylodge/keylodge/application/access"
	"github.com/keylodge/keylodge/domain"
)

func (s *server) getSession(c *fiber.Ctx, actor access.Actor) error {
	return c.JSON(struct {
		User    user    `json:"user"`
		Session session `json:"session"`
	}{userOf(actor.User), sessionOf(actor.Session, actor)})
}

// deleteSession signs out. Whoever is not signed in is told that they are out, and loses a cookie that opens nothing.
func (s *server) deleteSession(c *fiber.Ctx) error {
	actor, err := s.authenticate(c)
	if err == nil {
		if err = s.usecases.Sessions.SignOut.Execute(c.UserContext(), actor); err == nil {
			s.note(c, actor, "signed out")
		}
	}
	if err != nil && problemOf(err).Status != http.StatusUnauthorized {
		return err
	}
	s.cookies.clearSession(c)
	return c.SendStatus(http.StatusNoContent)
}

func (s *server) refreshSession(c *fiber.Ctx) error {
	var body struct {
		RefreshToken string `json:"refresh_token"`
	}
	if err := decodeBody(c, &body); err != nil {
		return err
	}
	if body.RefreshToken == "" {
		return required("refresh_token", nil)
	}
	token, err := domain.ParseRefreshToken(body.RefreshToken)
	if err != nil {
		return err
	}
	pair, err := s.usecases.Sessions.Refresh.Execute(c.UserContext(), token, s.visitor(c))
	if err != nil {
		return err
	}
	return c.JSON(fiber.Map{"tokens": tokensOf(pair)})
}

func (s *server) mintToken(c *fiber.Ctx, actor access.Actor) error {
	minted, err := s.usecases.Sessions.Mint.Execute(c.UserContext(), actor)
	if err != nil {
		return err
	}
	return c.JSON(accessTokenOf(minted))
}
