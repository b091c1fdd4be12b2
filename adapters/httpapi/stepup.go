package httpapi

import (
	"github.com/go-json-experiment/json/jsontext"
	"github.com/gofiber/fiber/v2"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/stepup"
)

func (s *server) stepUpOptions(c *fiber.Ctx, actor identity.Principal) error {
	by := s.ceremonyBrowser(c)
	started, err := s.usecases.StepUp.Begin.Execute(c.UserContext(), actor, by.binding)
	if err != nil {
		return err
	}
	return s.renderOptions(c, by, started)
}

func (s *server) stepUpVerify(c *fiber.Ctx, actor identity.Principal) error {
	var body struct {
		ChallengeID string         `json:"challenge_id"`
		Credential  jsontext.Value `json:"credential"`
	}
	if err := decodeBody(c, &body); err != nil {
		return err
	}
	id, badID := parseChallengeID(body.ChallengeID)
	credential, badCredential := readCredential[authenticationCredential](body.Credential)
	if err := s.checkVerifyInput(c, id, badID, badCredential); err != nil {
		return err
	}
	stepped, err := s.usecases.StepUp.Finish.Execute(c.UserContext(), actor, stepup.FinishInput{
		ChallengeID: id, Binding: s.cookies.binding(c, id), Credential: credential,
	})
	if err != nil {
		return err
	}
	s.logAccountEvent(c, actor, "stepped up")
	s.recordAnomaly(c, stepped.Anomaly, stepped.Credential, "allowed")
	if !stepped.Token.IsZero() {
		s.cookies.setRotatedSession(c, stepped.Token, stepped.ExpiresIn)
	}
	answer := struct {
		Session session    `json:"session"`
		Tokens  *tokenPair `json:"tokens,omitempty"`
	}{Session: sessionOf(stepped.Session, actor)}
	if stepped.Tokens != nil {
		answer.Tokens = tokensOf(stepped.Tokens)
	}
	return c.JSON(answer)
}
