package httpapi

import (
	"net/http"

	"github.com/gofiber/fiber/v2"
)

func (s *server) getSession(c *fiber.Ctx) error {
	token, err := s.cookies.sessionToken(c)
	if err != nil {
		return err
	}
	current, err := s.usecases.Sessions.Authenticate.Execute(c.UserContext(), token)
	if err != nil {
		return err
	}
	return c.JSON(struct {
		User    user    `json:"user"`
		Session session `json:"session"`
	}{userOf(current.User), sessionOf(current.Session)})
}

func (s *server) deleteSession(c *fiber.Ctx) error {
	if token, err := s.cookies.sessionToken(c); err == nil {
		if err := s.usecases.Sessions.SignOut.Execute(c.UserContext(), token); err != nil {
			return err
		}
	}
	s.cookies.clearSession(c)
	return c.SendStatus(http.StatusNoContent)
}
