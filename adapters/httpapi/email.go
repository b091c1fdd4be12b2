package httpapi

import (
	"net/http"

	"github.com/gofiber/fiber/v2"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/timestamp"
)

// sendEmailCode sends a verification code to the pending e-mail address.
func (s *server) sendEmailCode(c *fiber.Ctx, principal identity.Principal) error {
	expires, err := s.usecases.Account.SendCode(c.UserContext(), principal)
	if err != nil {
		return err
	}
	stateOf(c).revealsAccount = true
	return c.Status(http.StatusAccepted).JSON(fiber.Map{"expires_at": timestamp.Of(expires)})
}

func (s *server) confirmEmail(c *fiber.Ctx, principal identity.Principal) error {
	code, err := decodeText(c, "code")
	if err != nil {
		return err
	}
	changed, err := s.usecases.Account.ConfirmEmail(c.UserContext(), principal, code)
	if err != nil {
		return err
	}
	// Meaning: A user entered the code of the pending e-mail address.
	s.logAccountEvent(c, principal, "e-mail address confirmed")
	return c.JSON(userResponse{userOf(changed.User), s.signalsFor(changed.User, changed.AcceptedCredentials)})
}
