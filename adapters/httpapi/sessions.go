package httpapi

import (
	"log/slog"
	"net/http"

	"github.com/gofiber/fiber/v2"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
)

// listSessions shows where the caller is signed in.
func (s *server) listSessions(c *fiber.Ctx, actor identity.Principal) error {
	after, limit, err := parsePage(c, domain.ParseSessionID)
	if err != nil {
		return err
	}
	found, err := s.usecases.Sessions.List.Execute(c.UserContext(), actor, after, limit)
	if err != nil {
		return err
	}
	items := make([]session, len(found.Sessions))
	for i, each := range found.Sessions {
		items[i] = sessionOf(each, actor)
	}
	next := ""
	if found.More {
		next = items[len(items)-1].ID
	}
	return c.JSON(list[session]{items, optional(next)})
}

func (s *server) revokeSession(c *fiber.Ctx, actor identity.Principal) error {
	id, err := domain.ParseSessionID(c.Params("id"))
	if err != nil {
		return domain.ErrSessionNotFound
	}
	if err := s.usecases.Sessions.Revoke.Execute(c.UserContext(), actor, id); err != nil {
		return err
	}
	s.logAccountEvent(c, actor, "session revoked", slog.String("revoked_session_id", id.String()))
	if id == actor.Session.ID() {
		s.clearSessionCookie(c)
	}
	return c.SendStatus(http.StatusNoContent)
}

func (s *server) revokeOtherSessions(c *fiber.Ctx, actor identity.Principal) error {
	ended, err := s.usecases.Sessions.RevokeOthers.Execute(c.UserContext(), actor)
	if err != nil {
		return err
	}
	s.logAccountEvent(c, actor, "other sessions revoked", slog.Int("revoked", ended))
	return c.JSON(fiber.Map{"revoked": ended})
}
