package httpapi

import (
	"log/slog"
	"net/http"

	"github.com/gofiber/fiber/v2"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
)

// listSessions lists the user's active sessions.
func (s *server) listSessions(c *fiber.Ctx, principal identity.Principal) error {
	after, limit, err := parsePage(c, domain.ParseSessionID)
	if err != nil {
		return err
	}
	found, err := s.usecases.Sessions.List(c.UserContext(), principal, after, limit)
	if err != nil {
		return err
	}
	items := mapSlice(found.Sessions, func(s *domain.Session) session { return sessionOf(s, principal) })
	return answerList(c, items, found.More, func(s session) string { return s.ID })
}

func (s *server) revokeSession(c *fiber.Ctx, principal identity.Principal) error {
	id, err := domain.ParseSessionID(c.Params("id"))
	if err != nil {
		return domain.ErrSessionNotFound
	}
	if err := s.usecases.Sessions.Revoke(c.UserContext(), principal, id); err != nil {
		return err
	}
	// Meaning: A user revoked a session of the account, which revoked_session_id names.
	s.logAccountEvent(c, principal, "session revoked", slog.String("revoked_session_id", id.String()))
	if id == principal.Session.ID() {
		s.clearSessionCookie(c)
	}
	return c.SendStatus(http.StatusNoContent)
}

func (s *server) revokeOtherSessions(c *fiber.Ctx, principal identity.Principal) error {
	revoked, err := s.usecases.Sessions.RevokeOthers(c.UserContext(), principal)
	if err != nil {
		return err
	}
	// Meaning: A user revoked all sessions but the current one.
	s.logAccountEvent(c, principal, "other sessions revoked", slog.Int("revoked", revoked))
	return c.JSON(fiber.Map{"revoked": revoked})
}
