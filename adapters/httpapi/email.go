package httpapi

import (
	"net/http"

	"github.com/gofiber/fiber/v2"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/timestamp"
)

// sendEmailCode has a code sent to the address that the caller says is theirs.
func (s *server) sendEmailCode(c *fiber.Ctx, actor identity.Principal) error {
	expires, err := s.usecases.Account.SendCode.Execute(c.UserContext(), actor)
	if err != nil {
		return err
	}
	c.Locals(revealsAccountKey, true)
	return c.Status(http.StatusAccepted).JSON(fiber.Map{"expires_at": timestamp.Of(expires)})
}

func (s *server) confirmEmail(c *fiber.Ctx, actor identity.Principal) error {
	var body struct {
		Code string `json:"code"`
	}
	if err := decodeBody(c, &body); err != nil {
		return err
	}
	if body.Code == "" {
		return requireMember("code", nil)
	}
	changed, err := s.usecases.Account.ConfirmEmail.Execute(c.UserContext(), actor, body.Code)
	if err != nil {
		return err
	}
	s.logAccountEvent(c, actor, "e-mail address confirmed")
	return c.JSON(fiber.Map{"user": userOf(changed.User), "signals": s.signalsFor(changed.User, changed.AcceptedCredentials)})
}
