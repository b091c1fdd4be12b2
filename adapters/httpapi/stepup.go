package httpapi

import (
	"github.com/gofiber/fiber/v2"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/stepup"
)

func (s *server) stepUpOptions(c *fiber.Ctx, principal identity.Principal) error {
	browser := s.ceremonyBrowser(c)
	begun, err := s.usecases.StepUp.Begin(c.UserContext(), principal, browser.binding)
	return s.answerOptions(c, browser, begun, err)
}

func (s *server) stepUpVerify(c *fiber.Ctx, principal identity.Principal) error {
	var body verifyAuthentication
	if err := decodeBody(c, &body); err != nil {
		return err
	}
	id, binding, credential, err := body.parse(s, c)
	if err != nil {
		return err
	}
	stepUp, err := s.usecases.StepUp.Finish(c.UserContext(), principal, stepup.FinishInput{ChallengeID: id, Binding: binding, Credential: credential})
	if err != nil {
		return err
	}
	// Meaning: A user confirmed with a passkey, and may make sensitive changes now.
	s.logAccountEvent(c, principal, "stepped up")
	s.recordAnomaly(c, stepUp.Anomaly, stepUp.Credential, "allowed")
	if !stepUp.Token.IsZero() {
		s.cookies.setSession(c, stepUp.Token, stepUp.ExpiresIn)
	}
	return c.JSON(stepUpResponse{sessionOf(stepUp.Session, principal), tokensOf(stepUp.Tokens)})
}

type stepUpResponse struct {
	Session session    `json:"session"`
	Tokens  *tokenPair `json:"tokens,omitempty"` // of a bearer session
}
