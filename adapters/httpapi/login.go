package httpapi

import (
	"github.com/go-json-experiment/json/jsontext"
	"github.com/gofiber/fiber/v2"

	"github.com/keylodge/keylodge/application/login"
	"github.com/keylodge/keylodge/domain"
)

func (s *server) loginOptions(c *fiber.Ctx) error {
	var body struct {
		Email string `json:"email"`
	}
	if err := decodeBody(c, &body); err != nil {
		return err
	}
	email, err := domain.ParseEmail(body.Email)
	if err != nil {
		return err
	}
	if email != "" {
		c.Locals(revealsAccountKey, true)
	}
	by := s.ceremonyBrowser(c)
	started, err := s.usecases.Login.Begin.Execute(c.UserContext(), email, by.binding)
	if err != nil {
		return err
	}
	return s.renderOptions(c, by, started)
}

func (s *server) loginVerify(c *fiber.Ctx) error {
	var body struct {
		ChallengeID string         `json:"challenge_id"`
		Credential  jsontext.Value `json:"credential"`
		Transport   string         `json:"transport"`
	}
	if err := decodeBody(c, &body); err != nil {
		return err
	}
	id, badID := parseChallengeID(body.ChallengeID)
	visitor, badTransport := s.signInClient(c, body.Transport)
	credential, badCredential := readCredential[authenticationCredential](body.Credential)
	if err := s.checkVerifyInput(c, id, badID, badCredential, badTransport); err != nil {
		return err
	}
	grant, err := s.usecases.Login.Finish.Execute(c.UserContext(), login.FinishInput{
		ChallengeID: id, Binding: s.cookies.binding(c, id), Credential: credential, Client: visitor,
	})
	if err != nil {
		return err
	}
	return s.renderSignIn(c, grant)
}
